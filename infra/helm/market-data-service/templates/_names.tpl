{{/* Names of objects. 40 characters: the longest that is put behind them, and the number of a pod, leave a label of 63. */}}
{{- define "mds.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Labels by which pods are selected: (dict "root" $ "component" "sinks"). They never change within a release. */}}
{{- define "mds.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: mds-{{ .component }}
{{- end }}

{{- define "mds.labels" -}}
{{ include "mds.selector" . }}
app.kubernetes.io/part-of: market-data-service
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "mds.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* Text of a setting: whole numbers of any size without an exponent. */}}
{{- define "mds.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end }}

{{/* Ports of the ops listeners, as the services have them by default. */}}
{{- define "mds.opsPort" -}}
{{- get (dict "producers" "8101" "processors" "8102" "sinks" "8103" "gateway" "8104" "archive" "8105") . -}}
{{- end }}

{{- define "mds.command" -}}
{{- $modules := dict "producers" "producers" "processors" "stream_processors" "sinks" "sinks" "archive" "sinks" "gateway" "gateway" -}}
[python, -m, {{ get $modules . }}{{ if eq . "archive" }}, archive, run{{ end }}]
{{- end }}

{{/* Ports of the brokers, of kafka.bootstrapServers and of networkPolicy.kafkaPorts, as a list in JSON. */}}
{{- define "mds.kafkaPorts" -}}
{{- $ports := list -}}
{{- range splitList "," .Values.kafka.bootstrapServers -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (trim .) | int) -}}
{{- end -}}
{{- range .Values.networkPolicy.kafkaPorts -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end }}

{{/* Services behind the gateway, replica by replica, since each has its own state: name=url,… */}}
{{- define "mds.services" -}}
{{- $urls := list -}}
{{- $root := . -}}
{{- range $component := list "producers" "processors" "sinks" -}}
{{- $name := printf "%s-%s" (include "mds.fullname" $root) $component -}}
{{- range $number := until (int (get $root.Values $component).replicas) -}}
{{- $urls = append $urls (printf "%s-%d=http://%s-%d.%s:%s" $component $number $name $number $name (include "mds.opsPort" $component)) -}}
{{- end -}}
{{- end -}}
{{- join "," $urls -}}
{{- end }}
