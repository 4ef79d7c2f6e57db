{{- /*
What the templates share:
  telemock.fullname      name of the release's objects; the app's own have it as it is
  telemock.injector      name of the injector's objects
  telemock.injectors     its Deployments, each with a Service: half, name, replicas (JSON)
  telemock.labels        of every object        (dict "root" $ "component" "app"; without one: "")
  telemock.selector      of pods, for ever the same
  telemock.image         repository:tag         (dict "root" $ "image" .Values.image.app)
  telemock.tlsSecret     Secret of the certificates, and
  telemock.tlsForeign    its name when somebody else renews it, else ""
  telemock.profiles      TELEMOCK_PROFILES: the built-in ones, and the folder of the others
  telemock.profileFiles  data of a ConfigMap from profiles.extra, which it is given
  telemock.podEnv        entries of a container's env: which pod it is
  telemock.otelEnv       entries of a container's env: what `otel` says
  telemock.otel          the same as a map, but what comes from a Secret
  telemock.env           entries of a container's env, each name once
                         (dict "ours" "…" "more" list): `more` wins
  telemock.relabelings   what a monitor gives to its targets (dict "job" "telemock-app")
  telemock.podSecurity, telemock.containerSecurity   Pod Security level `restricted`
*/}}

{{- define "telemock.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- /* 50, so that every ending that we add stays within the 63 of a DNS label. */}}
{{- define "telemock.fullname" -}}
{{- $name := include "telemock.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "telemock.injector" -}}
{{ include "telemock.fullname" . }}-injector
{{- end }}

{{- /* Two halves, so that the loss of one never misses a pod: the API server asks the second where the
first does not answer. One replica has no second half. */}}
{{- define "telemock.injectors" -}}
{{- $name := include "telemock.injector" . -}}
{{- $all := int .Values.injector.replicas -}}
{{- $halves := list (dict "half" "a" "name" $name "replicas" (sub $all (div $all 2))) -}}
{{- if gt $all 1 }}
{{- $halves = append $halves (dict "half" "b" "name" (printf "%s-b" $name) "replicas" (div $all 2)) }}
{{- end }}
{{- toJson $halves }}
{{- end }}

{{- define "telemock.selector" -}}
app.kubernetes.io/name: {{ include "telemock.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "telemock.labels" -}}
{{ include "telemock.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "telemock.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "telemock.tlsForeign" -}}
{{- with .Values.tls -}}
{{- if .certManager.enabled }}{{ include "telemock.fullname" $ }}-cert-manager{{ else }}{{ .existingSecret }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "telemock.tlsSecret" -}}
{{ include "telemock.tlsForeign" . | default (printf "%s-tls" (include "telemock.fullname" .)) }}
{{- end }}

{{- define "telemock.profiles" -}}
{{ join "," (append .Values.profiles.builtin "/etc/telemock/profiles") }}
{{- end }}

{{- define "telemock.profileFiles" -}}
{{- range $name, $profile := . }}
{{ $name }}.yaml: |
  {{- ternary $profile (toYaml $profile) (kindIs "string" $profile) | nindent 2 }}
{{- end }}
{{- end }}

{{- define "telemock.podSecurity" -}}
runAsNonRoot: true
runAsUser: 2930
runAsGroup: 2930
fsGroup: 2930
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "telemock.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "telemock.podEnv" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- end }}

{{- define "telemock.otel" -}}
{{- with .Values.otel }}
{{- with .endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- with .protocol }}
OTEL_EXPORTER_OTLP_PROTOCOL: {{ . }}
{{- end }}
{{- with .sampler.type }}
OTEL_TRACES_SAMPLER: {{ . }}
{{- end }}
{{- with toString .sampler.argument }}
OTEL_TRACES_SAMPLER_ARG: {{ . | quote }}
{{- end }}
{{- with .resourceAttributes }}
{{- /* A comma or an equals sign in a value would be read as the next attribute's. */}}
{{- $pairs := list }}
{{- range $name, $value := . }}
{{- $pairs = append $pairs (printf "%s=%s" $name (urlquery $value | replace "+" "%20")) }}
{{- end }}
OTEL_RESOURCE_ATTRIBUTES: {{ join "," $pairs | quote }}
{{- end }}
{{- if not .traces.enabled }}
OTEL_TRACES_EXPORTER: none
{{- end }}
{{- with .traces.endpoint }}
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {{ . | quote }}
{{- end }}
{{- if not .metrics.enabled }}
OTEL_METRICS_EXPORTER: none
{{- end }}
{{- with .metrics.endpoint }}
OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: {{ . | quote }}
{{- end }}
{{- with .metrics.intervalSeconds }}
OTEL_METRIC_EXPORT_INTERVAL: {{ mul 1000 (int .) | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "telemock.otelEnv" -}}
{{- range $name, $value := fromYaml (include "telemock.otel" .) }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- with .Values.otel.headersSecret }}
{{- if .name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- end }}

{{- define "telemock.env" -}}
{{- $taken := list }}
{{- range .more }}
{{- $taken = append $taken .name }}
{{- end }}
{{- $all := list }}
{{- range fromYamlArray .ours }}
{{- if not (has .name $taken) }}
{{- $all = append $all . }}
{{- end }}
{{- end }}
{{- toYaml (concat $all .more) }}
{{- end }}

{{- /* Named as the resource attributes are when metrics come by OTLP, so that dashboards and alerts
need not know which way they came. */}}
{{- define "telemock.relabelings" -}}
- {targetLabel: job, replacement: {{ .job }}}
- {sourceLabels: [__meta_kubernetes_namespace], targetLabel: k8s_namespace_name}
- {sourceLabels: [__meta_kubernetes_pod_name], targetLabel: k8s_pod_name}
{{- end }}
