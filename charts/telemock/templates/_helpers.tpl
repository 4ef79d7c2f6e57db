{{- /*
What the templates share:
  telemock.fullname      name of the release's objects; the app's own have it as it is
  telemock.injector      name of the injector's objects
  telemock.labels        of every object        (dict "root" $ "component" "app"; without one: "")
  telemock.selector      of pods, for ever the same
  telemock.image         repository:tag         (dict "root" $ "image" .Values.image.app)
  telemock.tlsSecret     Secret of the certificates, and
  telemock.tlsForeign    its name when somebody else renews it, else ""
  telemock.profiles      TELEMOCK_PROFILES: the built-in ones, and the folder of the others
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
