{{/* Names and labels, and what more than one template says. */}}

{{- define "sabir.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Some names have a suffix, so that there is room for it. */}}
{{- define "sabir.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "sabir.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sabir.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sabir.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sabir.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What pods are found by. It never changes between versions. */}}
{{- define "sabir.selectorLabels" -}}
app.kubernetes.io/name: {{ include "sabir.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{/* Labels of an object: (list CONTEXT COMPONENT). */}}
{{- define "sabir.labels" -}}
{{- $context := index . 0 -}}
{{- $labels := dict
    "app.kubernetes.io/name" (include "sabir.name" $context)
    "app.kubernetes.io/instance" $context.Release.Name
    "app.kubernetes.io/component" (index . 1)
    "app.kubernetes.io/version" $context.Chart.AppVersion
    "app.kubernetes.io/part-of" "sabir"
    "app.kubernetes.io/managed-by" $context.Release.Service
    "helm.sh/chart" (printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_") -}}
{{- toYaml (mergeOverwrite (deepCopy $context.Values.commonLabels) $labels) -}}
{{- end -}}

{{/* The head of an object: (list CONTEXT COMPONENT NAME LABELS ANNOTATIONS NAMESPACE), of which the last three may be left out. */}}
{{- define "sabir.metadata" -}}
{{- $context := index . 0 -}}
{{- $labels := dict -}}{{- $annotations := dict -}}{{- $namespace := "" -}}
{{- if gt (len .) 3 -}}{{- $labels = index . 3 -}}{{- end -}}
{{- if gt (len .) 4 -}}{{- $annotations = index . 4 -}}{{- end -}}
{{- if gt (len .) 5 -}}{{- $namespace = index . 5 -}}{{- end -}}
name: {{ index . 2 }}
namespace: {{ default $context.Release.Namespace $namespace }}
labels:
  {{- include "sabir.labels" (list $context (index . 1)) | nindent 2 }}
  {{- with $labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with mergeOverwrite (deepCopy $context.Values.commonAnnotations) $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sabir.image" -}}
{{- $image := .Values.image -}}
{{- $tag := $image.tag -}}
{{- if not $tag -}}
{{- $tag = .Chart.AppVersion -}}
{{- if .Values.localModel.enabled -}}{{- $tag = printf "%s-models" $tag -}}{{- end -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository $tag -}}
{{- end -}}
{{- end -}}

{{- define "sabir.imagePullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "sabir.isPostgres" -}}
{{- if eq .Values.database.kind "postgres" -}}true{{- end -}}
{{- end -}}

{{- define "sabir.mayHaveSeveral" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1) -}}true{{- end -}}
{{- end -}}

{{/* Seconds from the order to stop to the kill: that of preStop, of open calls, of the last rows, and the margin. */}}
{{- define "sabir.gracePeriod" -}}
{{- $shutdown := .Values.shutdown -}}
{{- add (int $shutdown.preStopSeconds) (int $shutdown.drainSeconds) (int $shutdown.closeSeconds) (int $shutdown.marginSeconds) -}}
{{- end -}}

{{- define "sabir.configMapName" -}}
{{- default (printf "%s-config" (include "sabir.fullname" .)) .Values.existingConfigMap -}}
{{- end -}}

{{- define "sabir.claimName" -}}
{{- default (printf "%s-data" (include "sabir.fullname" .)) .Values.persistence.existingClaim -}}
{{- end -}}

{{- define "sabir.scheme" -}}
{{- if .Values.tls.enabled -}}https{{- else -}}http{{- end -}}
{{- end -}}

{{/* The name by which other pods of the cluster call the Service. */}}
{{- define "sabir.host" -}}
{{- printf "%s.%s.svc" (include "sabir.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* What a probe does: gRPC's own health check, which kubelet speaks in the clear alone. */}}
{{- define "sabir.probeHandler" -}}
{{- if .Values.probes.customHandler -}}
{{- toYaml .Values.probes.customHandler -}}
{{- else if .Values.tls.enabled -}}
exec:
  command: ["sabir", "health", "--address", "https://127.0.0.1:8080"]
{{- else -}}
grpc:
  port: 8080
  service: ""
{{- end -}}
{{- end -}}

{{/* A probe: (list CONTEXT NAME). */}}
{{- define "sabir.probe" -}}
{{- $context := index . 0 -}}
{{- $probe := index $context.Values.probes (index . 1) -}}
{{- if $probe.enabled }}
{{ index . 1 }}Probe:
  {{- include "sabir.probeHandler" $context | nindent 2 }}
  periodSeconds: {{ $probe.periodSeconds }}
  timeoutSeconds: {{ $probe.timeoutSeconds }}
  failureThreshold: {{ $probe.failureThreshold }}
{{- end }}
{{- end -}}
