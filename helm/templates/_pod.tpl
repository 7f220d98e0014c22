{{/* What the containers that run Sabir have in common. */}}

{{- define "sabir.env.database" -}}
{{- if include "sabir.isPostgres" . }}
- name: SABIR_DATABASE__URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret.name }}
      key: {{ .Values.database.existingSecret.key }}
{{- else }}
- name: SABIR_DATABASE__URL
  value: sqlite:/data/sabir.db
{{- end }}
{{- end -}}

{{- define "sabir.env" -}}
- name: SABIR_CONFIG
  value: /etc/sabir/sabir.toml
- name: SABIR_SERVER__LISTEN
  value: {{ printf "%s:8080" .Values.bindAddress | quote }}
- name: SABIR_SERVER__DRAIN_TIMEOUT
  value: {{ printf "%ds" (int .Values.shutdown.drainSeconds) }}
- name: SABIR_USAGE__CLOSE_WITHIN
  value: {{ printf "%ds" (int .Values.shutdown.closeSeconds) }}
- name: SABIR_LOG__FORMAT
  value: {{ .Values.log.format | quote }}
- name: SABIR_LOG__FILTER
  value: {{ .Values.log.filter | quote }}
- name: SABIR_LOCAL__ENABLED
  value: {{ .Values.localModel.enabled | quote }}
- name: SABIR_AUTH__MODE
  value: {{ .Values.auth.mode }}
{{- if eq .Values.auth.mode "open" }}
- name: SABIR_SERVER__ALLOW_UNAUTHENTICATED
  value: "true"
{{- end }}
{{- with .Values.auth.existingSecret }}
{{- if .name }}
- name: SABIR_AUTH__SECRET
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- include "sabir.env.database" . }}
{{- if .Values.metrics.enabled }}
- name: SABIR_ADMIN__LISTEN
  value: {{ printf "%s:%d" .Values.bindAddress (int .Values.metrics.port) | quote }}
{{- end }}
{{- if .Values.tls.enabled }}
- name: SABIR_SERVER__TLS__CERT_FILE
  value: /etc/sabir/tls/{{ .Values.tls.certKey }}
- name: SABIR_SERVER__TLS__KEY_FILE
  value: /etc/sabir/tls/{{ .Values.tls.keyKey }}
{{- with .Values.tls.clientCA }}
{{- if .existingSecret }}
- name: SABIR_SERVER__TLS__CLIENT_CA_FILE
  value: /etc/sabir/client-ca/{{ .key }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.telemetry.otlpEndpoint }}
- name: SABIR_TELEMETRY__OTLP_ENDPOINT
  value: {{ .Values.telemetry.otlpEndpoint | quote }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: OTEL_RESOURCE_ATTRIBUTES
  {{- $attributes := list (printf "k8s.namespace.name=%s" .Release.Namespace) "k8s.pod.name=$(POD_NAME)" }}
  {{- range $key, $value := .Values.telemetry.resourceAttributes }}
  {{- $attributes = append $attributes (printf "%s=%s" $key $value) }}
  {{- end }}
  value: {{ join "," $attributes | quote }}
{{- end }}
{{- range $name, $source := .Values.providers.keys }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $source.name }}
      key: {{ $source.key }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sabir.envFrom" -}}
{{- if or .Values.providers.existingSecrets .Values.extraEnvFrom }}
envFrom:
  {{- range .Values.providers.existingSecrets }}
  - secretRef:
      name: {{ . }}
  {{- end }}
  {{- with .Values.extraEnvFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "sabir.volumeMounts.database" -}}
{{- if .Values.database.ca.existingSecret }}
- name: database-ca
  mountPath: /etc/sabir/database
  readOnly: true
{{- end }}
{{- end -}}

{{- define "sabir.volumes.database" -}}
{{- with .Values.database.ca }}
{{- if .existingSecret }}
- name: database-ca
  secret:
    secretName: {{ .existingSecret }}
    items:
      - key: {{ .key }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{- define "sabir.volumeMounts" -}}
- name: config
  mountPath: /etc/sabir/sabir.toml
  subPath: sabir.toml
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if not (include "sabir.isPostgres" .) }}
- name: data
  mountPath: /data
{{- end }}
{{- include "sabir.volumeMounts.database" . }}
{{- if .Values.tls.enabled }}
- name: tls
  mountPath: /etc/sabir/tls
  readOnly: true
{{- if .Values.tls.clientCA.existingSecret }}
- name: client-ca
  mountPath: /etc/sabir/client-ca
  readOnly: true
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sabir.volumes" -}}
- name: config
  configMap:
    name: {{ include "sabir.configMapName" . }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if not (include "sabir.isPostgres" .) }}
- name: data
  {{- if .Values.persistence.enabled }}
  persistentVolumeClaim:
    claimName: {{ include "sabir.claimName" . }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}
{{- include "sabir.volumes.database" . }}
{{- if .Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ .Values.tls.existingSecret }}
    defaultMode: 0440
{{- with .Values.tls.clientCA.existingSecret }}
- name: client-ca
  secret:
    secretName: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What says where pods run, for every pod of the chart. */}}
{{- define "sabir.placement" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
