{{/* Pods are nobody in particular, write to two folders, and have no token of the cluster's. */}}
{{- define "mds.podSecurity" -}}
automountServiceAccountToken: false
# MDS_SERVICE_HOST and its like would be taken for settings, and an unknown one is refused
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "mds.container" -}}
image: {{ include "mds.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
workingDir: /var/lib/mds
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* (dict "root" $ "user" "sinks" "gatewayKeys" false "config" true) */}}
{{- define "mds.mounts" -}}
{{- $kafka := .root.Values.kafka -}}
- {name: scratch, mountPath: /var/lib/mds, subPath: home}
- {name: scratch, mountPath: /tmp, subPath: tmp}
{{- if .config }}
- {name: config, mountPath: /etc/mds/config, readOnly: true}
{{- end }}
{{- if hasSuffix "ssl" $kafka.securityProtocol }}
{{- if $kafka.ca.existingSecret }}
- {name: kafka-ca, mountPath: /etc/mds/kafka-ca, readOnly: true}
{{- end }}
{{- if and (eq $kafka.securityProtocol "ssl") (get $kafka.users .user).existingSecret }}
- {name: kafka-user, mountPath: /etc/mds/kafka-user, readOnly: true}
{{- end }}
{{- end }}
{{- if .gatewayKeys }}
- {name: gateway-keys, mountPath: /etc/mds/gateway-keys, readOnly: true}
{{- end }}
{{- end }}

{{- define "mds.volumes" -}}
{{- $kafka := .root.Values.kafka -}}
{{- $config := .root.Values.config -}}
- name: scratch
  emptyDir: {sizeLimit: {{ .root.Values.scratch.sizeLimit }}}
{{- if .config }}
- name: config
  configMap:
    name: {{ default (printf "%s-config" (include "mds.fullname" .root)) $config.existingConfigMap }}
{{- end }}
{{- if hasSuffix "ssl" $kafka.securityProtocol }}
{{- if $kafka.ca.existingSecret }}
- name: kafka-ca
  secret:
    secretName: {{ $kafka.ca.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ $kafka.ca.key }}, path: ca.crt}]
{{- end }}
{{- $user := get $kafka.users .user }}
{{- if and (eq $kafka.securityProtocol "ssl") $user.existingSecret }}
- name: kafka-user
  secret:
    secretName: {{ $user.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ $kafka.keys.certificate }}, path: user.crt}, {key: {{ $kafka.keys.key }}, path: user.key}]
{{- end }}
{{- end }}
{{- if .gatewayKeys }}
- name: gateway-keys
  secret:
    secretName: {{ .root.Values.gateway.keys.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ .root.Values.gateway.keys.key }}, path: keys.yaml}]
{{- end }}
{{- end }}

{{- define "mds.placement" -}}
{{- $values := get .root.Values .component -}}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .root.Values.topologySpread.enabled }}
topologySpreadConstraints:
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: {{ $.root.Values.topologySpread.whenUnsatisfiable }}
  labelSelector:
    matchLabels: {{- include "mds.selector" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{/* The template of a service's pods: (dict "root" $ "component" "sinks") */}}
{{- define "mds.pod" -}}
{{- $values := get .root.Values .component -}}
{{- $isGateway := eq .component "gateway" -}}
{{- $around := dict "root" .root "user" .component "gatewayKeys" $isGateway "config" true -}}
metadata:
  labels: {{- include "mds.labels" . | nindent 4 }}
  {{- with $values.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "mds.podSecurity" .root | nindent 2 }}
  {{- include "mds.placement" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ int $values.terminationGracePeriodSeconds }}
  containers:
  - name: {{ .component }}
    {{- include "mds.container" .root | nindent 4 }}
    command: {{ include "mds.command" .component }}
    env:
    {{- include "mds.sharedEnvironment" $around | nindent 4 }}
    {{- if or $isGateway (has .component (list "producers" "sinks")) }}
    {{- include "mds.dsn" .root | nindent 4 }}
    {{- end }}
    {{- if eq .component "producers" }}
    {{- include "mds.producersEnvironment" .root | nindent 4 }}
    {{- else if eq .component "archive" }}
    {{- include "mds.archiveEnvironment" .root | nindent 4 }}
    {{- else if $isGateway }}
    {{- include "mds.gatewayEnvironment" .root | nindent 4 }}
    {{- else }}
    {{- include "mds.settings" $values.settings | nindent 4 }}
    {{- end }}
    ports:
    - {name: ops, containerPort: {{ include "mds.opsPort" .component }}}
    {{- if $isGateway }}
    - {name: http, containerPort: 8001}
    {{- end }}
    # Begun is not ready: without a broker a service waits and says so, and to begin it anew would change nothing.
    startupProbe:
      httpGet: {path: /livez, port: ops}
      periodSeconds: 2
      failureThreshold: 60
    readinessProbe:
      httpGet: {path: /readyz, port: ops}
      periodSeconds: 5
      timeoutSeconds: 3
    # Progress: not alive is who promised some and has made none.
    livenessProbe:
      httpGet: {path: /livez, port: ops}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 3
    {{- if $isGateway }}
    lifecycle:
      preStop:
        exec: {command: [sleep, {{ int $values.preStopSeconds | quote }}]}
    {{- end }}
    resources: {{- toYaml $values.resources | nindent 6 }}
    volumeMounts:
    {{- include "mds.mounts" $around | nindent 4 }}
    {{- if eq .component "archive" }}
    - {name: archive, mountPath: /var/lib/mds-archive}
    {{- end }}
  volumes:
  {{- include "mds.volumes" $around | nindent 2 }}
{{- end }}
