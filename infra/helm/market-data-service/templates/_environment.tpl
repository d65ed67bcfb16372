{{/* Variables from a map of settings. */}}
{{- define "mds.settings" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ include "mds.text" $value | quote }}
{{- end }}
{{- end }}

{{/* A variable from a Secret: (list "NAME" "secret" "key") */}}
{{- define "mds.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}}
{{- end }}

{{/* Variables of every container: (dict "root" $ "user" "sinks"), the user being that of Kafka. */}}
{{- define "mds.sharedEnvironment" -}}
{{- $values := .root.Values -}}
{{- $kafka := $values.kafka -}}
{{- $user := get $kafka.users .user -}}
- name: MDS_HOME
  value: /var/lib/mds
- name: MDS_CONFIG
  value: /etc/mds/config/mds.yaml
- name: MDS_OPS_HOST
  value: {{ $values.opsHost | quote }}
- name: MDS_KAFKA
  value: {{ $kafka.bootstrapServers | quote }}
- name: MDS_TOPIC_PREFIX
  value: {{ $kafka.topicPrefix | quote }}
- name: MDS_PARTITIONS
  value: {{ int $kafka.partitions | quote }}
- name: MDS_KAFKA_SECURITY_PROTOCOL
  value: {{ $kafka.securityProtocol | quote }}
{{- if hasPrefix "sasl" $kafka.securityProtocol }}
- name: MDS_KAFKA_SASL_MECHANISM
  value: {{ required "kafka.saslMechanism is needed with SASL" $kafka.saslMechanism | quote }}
- name: MDS_KAFKA_USERNAME
  value: {{ required (printf "kafka.users.%s.username is needed with SASL" .user) $user.username | quote }}
{{ include "mds.secretVariable" (list "MDS_KAFKA_PASSWORD" (required (printf "kafka.users.%s.existingSecret is needed with SASL" .user) $user.existingSecret) $kafka.keys.password) }}
{{- end }}
{{- if hasSuffix "ssl" $kafka.securityProtocol }}
{{- if $kafka.ca.existingSecret }}
- name: MDS_KAFKA_CA_FILE
  value: /etc/mds/kafka-ca/ca.crt
{{- end }}
{{- if and (eq $kafka.securityProtocol "ssl") $user.existingSecret }}
- name: MDS_KAFKA_CERTIFICATE_FILE
  value: /etc/mds/kafka-user/user.crt
- name: MDS_KAFKA_KEY_FILE
  value: /etc/mds/kafka-user/user.key
{{- end }}
{{- end }}
{{- include "mds.settings" $values.settings }}
{{- end }}

{{- define "mds.dsn" -}}
{{ include "mds.secretVariable" (list "MDS_POSTGRES_DSN" .Values.postgres.existingSecret .Values.postgres.key) }}
{{- end }}

{{/* The DSN of migrations: of the tables' owner, where that is another role. */}}
{{- define "mds.migrationsDsn" -}}
{{- $own := .Values.postgres.migrations -}}
{{- if $own.existingSecret -}}
{{ include "mds.secretVariable" (list "MDS_POSTGRES_DSN" $own.existingSecret $own.key) }}
{{- else -}}
{{ include "mds.dsn" . }}
{{- end -}}
{{- end }}

{{- define "mds.producersEnvironment" -}}
{{- $given := .Values.producers.credentials -}}
{{- range $given.variables }}
{{ include "mds.secretVariable" (list . (required "producers.credentials.existingSecret is needed for producers.credentials.variables" $given.existingSecret) .) }}
{{- end }}
{{- include "mds.settings" .Values.producers.settings }}
{{- end }}

{{- define "mds.archiveEnvironment" }}
- name: SINKS_ARCHIVE
  value: /var/lib/mds-archive
{{- include "mds.settings" .Values.archive.settings }}
{{- end }}

{{- define "mds.gatewayEnvironment" }}
{{- $gateway := .Values.gateway }}
- name: GATEWAY_HOST
  value: {{ .Values.opsHost | quote }}
- name: GATEWAY_PORT
  value: "8001"
- name: GATEWAY_SERVICES
  value: {{ include "mds.services" . | quote }}
- name: GATEWAY_KEYS_FILE
  value: /etc/mds/gateway-keys/keys.yaml
{{- if $gateway.pageTokenKey.existingSecret }}
{{ include "mds.secretVariable" (list "GATEWAY_PAGE_TOKEN_KEY" $gateway.pageTokenKey.existingSecret $gateway.pageTokenKey.key) }}
{{- else if or (gt (int $gateway.replicas) 1) $gateway.autoscaling.enabled }}
{{- fail "gateway.pageTokenKey.existingSecret is needed with more than one replica: a page must be good at each of them" }}
{{- end }}
{{- include "mds.settings" $gateway.settings }}
{{- end }}
