#!/usr/bin/env bash
# Runs a command under telemock's gate in a job of CI, and writes the reports. The exit code is the
# gate's: the command's own, 121 if something was sent, 122 if it is not known whether.
#
# ci/action.yml and ci/gitlab.yml call this. What they are given comes by variables, and none of it is
# read by a shell, but for GATE_COMMAND, which bash runs under the gate.
#
#   GATE_COMMAND   a script for bash; required
#   GATE_CONTRACT  file of a contract: only that may be sent; empty: nothing may
#   GATE_ALLOW     hosts, host:port or Unix sockets that may be reached, one a line
#   GATE_PROFILES  profiles: names or files, one a line
#   GATE_SUBJECTS  what the statement is about: files or NAME@DIGEST, one a line
#   GATE_KEY       file of the private key that signs the statement
#   GATE_WAIT      seconds that processes which outlive the command are seen
#   GATE_REPORTS   directory for the reports: statement.json, gate.sarif, gate.junit.xml, summary.md;
#                  telemock-reports
#   GATE_SUMMARY   file that the summary, in Markdown, is added to; besides that in GATE_REPORTS
#   GATE_INSTALL   a checkout of telemock to install; empty: telemock is in PATH
#   GATE_PYTHON    the Python (3.12 or newer) that it is installed with; python3
set -euo pipefail

fail() {
  printf 'error: %s\n\nhint: %s\n' "$1" "$2" >&2
  exit 2
}

command=${GATE_COMMAND:-} contract=${GATE_CONTRACT:-} key=${GATE_KEY:-} wait=${GATE_WAIT:-}
python=${GATE_PYTHON:-python3}
reports=${GATE_REPORTS:-telemock-reports} summary=${GATE_SUMMARY:-} install=${GATE_INSTALL:-}
lists=("${GATE_ALLOW:-}" "${GATE_PROFILES:-}" "${GATE_SUBJECTS:-}")
# The command has no use for them.
unset "${!GATE_@}"

[[ $command =~ [^[:space:]] ]] || fail 'there is no command to run' 'GATE_COMMAND; as an input: command'
[[ $wait =~ ^[0-9]*$ ]] || fail "GATE_WAIT is '$wait', expected a number of seconds" 'leave it empty for 10'

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

telemock=telemock
if [[ -n $install ]]; then
  [[ -f $install/requirements/app.txt ]] || fail "'$install' is no checkout of telemock" 'GATE_INSTALL'
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' ||
    fail "'$python' is no Python 3.12 or newer" 'GATE_PYTHON names one'
  "$python" -m venv -- "$work/venv"
  pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
  "${pip[@]}" --require-hashes -r "$install/requirements/app.txt" -r "$install/requirements/sidecar.txt"
  "${pip[@]}" --no-deps -- "$install"
  telemock=$work/venv/bin/telemock
elif ! command -v telemock > /dev/null; then
  fail 'telemock is not in PATH' 'GATE_INSTALL installs it from a checkout'
fi

mkdir -p -- "$reports"
reports=$(cd -- "$reports" && pwd)
statement=$reports/statement.json text=$reports/summary.md
sarif=$reports/gate.sarif junit=$reports/gate.junit.xml
rm -f -- "$statement" "$sarif" "$junit" "$text" # of another gate of this job
arguments=(--statement "$statement" --sarif "$sarif" --junit "$junit" --markdown "$text")
if [[ -n $contract ]]; then arguments+=(--contract "$contract"); else arguments+=(--nothing); fi
[[ -z $key ]] || arguments+=(--key "$key")
[[ -z $wait ]] || arguments+=(--wait "$wait")
for number in 0 1 2; do
  option=(--allow --profile --subject)
  while IFS= read -r line || [[ -n $line ]]; do
    line=${line#"${line%%[![:space:]]*}"} line=${line%"${line##*[![:space:]]}"}
    [[ -z $line ]] || arguments+=("${option[number]}" "$line")
  done <<< "${lists[number]}"
done

# Captures are private: they stay out of the reports, and go when the job ends.
export TELEMOCK_DATA=$work/data TELEMOCK_LOGS=$work/logs
# Some runners give a job sockets, which may lead anywhere: the command gets pipes.
mkfifo -- "$work/out" "$work/err"
cat < "$work/out" & relays=($!)
cat < "$work/err" >&2 & relays+=($!)
code=0
"$telemock" run "${arguments[@]}" -- bash -eo pipefail -c "$command" \
  < /dev/null > "$work/out" 2> "$work/err" || code=$?
# A process that the command left behind may hold them open for ever.
for _ in {1..100}; do kill -0 "${relays[@]}" 2> /dev/null || break; sleep 0.1; done
kill "${relays[@]}" 2> /dev/null || true

[[ -s $text ]] ||
  printf '## telemock: no verdict: it ended with %d, and the log says why\n' "$code" > "$text"
[[ -z $summary ]] || cat -- "$text" >> "$summary"
exit "$code"
