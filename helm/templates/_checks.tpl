{{/* What the schema of the values cannot say. The message names what to change. */}}
{{- define "sabir.checks" -}}
{{- $values := .Values -}}
{{- if and (include "sabir.isPostgres" .) (not $values.database.existingSecret.name) -}}
{{- fail "database.kind is postgres: database.existingSecret.name must name a Secret with the database's URL" -}}
{{- end -}}
{{- if and (include "sabir.mayHaveSeveral" .) (not (include "sabir.isPostgres" .)) -}}
{{- fail "more than one pod (replicaCount, autoscaling.enabled) needs database.kind: postgres, because one process at a time may have an SQLite file" -}}
{{- end -}}
{{- if and (eq $values.auth.mode "open") (not $values.auth.allowUnauthenticated) -}}
{{- fail "auth.mode is open: whoever reaches the port could use your models. If that is meant, set auth.allowUnauthenticated: true" -}}
{{- end -}}
{{- if and $values.tls.enabled (not $values.tls.existingSecret) -}}
{{- fail "tls.enabled: tls.existingSecret must name a Secret of type kubernetes.io/tls" -}}
{{- end -}}
{{- if and $values.tls.clientCA.existingSecret (not $values.tls.enabled) -}}
{{- fail "tls.clientCA.existingSecret: there are no client certificates without tls.enabled" -}}
{{- end -}}
{{- if and $values.ingress.enabled (not $values.ingress.hosts) -}}
{{- fail "ingress.enabled: ingress.hosts must hold a name" -}}
{{- end -}}
{{- if and $values.ingress.grpc.enabled (not $values.ingress.grpc.hosts) -}}
{{- fail "ingress.grpc.enabled: ingress.grpc.hosts must hold a name, and not one of ingress.hosts" -}}
{{- end -}}
{{- if $values.ingress.enabled -}}
{{- range $values.ingress.grpc.hosts -}}
{{- if has . $values.ingress.hosts -}}
{{- fail (printf "ingress.grpc.hosts: %s is one of ingress.hosts too; controllers take one protocol for a name" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled: httpRoute.parentRefs must name a Gateway" -}}
{{- end -}}
{{- if and $values.httpRoute.enabled $values.tls.enabled (not $values.httpRoute.backendTLS.caConfigMap) -}}
{{- fail "httpRoute.enabled and tls.enabled: httpRoute.backendTLS.caConfigMap must name a ConfigMap with the authority (ca.crt) that signed Sabir's certificate" -}}
{{- end -}}
{{- $autoscaling := $values.autoscaling -}}
{{- if $autoscaling.enabled -}}
{{- if not (or $autoscaling.targetCPUUtilizationPercentage $autoscaling.targetRequestsInFlight $autoscaling.metrics) -}}
{{- fail "autoscaling.enabled: one of autoscaling.targetCPUUtilizationPercentage, targetRequestsInFlight and metrics must be set" -}}
{{- end -}}
{{- if lt (int $autoscaling.maxReplicas) (int $autoscaling.minReplicas) -}}
{{- fail "autoscaling.maxReplicas is less than autoscaling.minReplicas" -}}
{{- end -}}
{{- end -}}
{{- if and $values.serviceMonitor.enabled (not $values.metrics.enabled) -}}
{{- fail "serviceMonitor.enabled: there is nothing to read without metrics.enabled" -}}
{{- end -}}
{{- $sources := compact (list (ternary "config" "" (not (empty $values.config))) (ternary "configFile" "" (not (empty $values.configFile))) (ternary "existingConfigMap" "" (not (empty $values.existingConfigMap)))) -}}
{{- if gt (len $sources) 1 -}}
{{- fail (printf "%s: give one of them" (join " and " $sources)) -}}
{{- end -}}
{{- include "sabir.checks.config" . -}}
{{- end -}}

{{/* Keys of `config` that the chart sets by itself, and secrets, which have no place in a ConfigMap. */}}
{{- define "sabir.checks.config" -}}
{{- $owned := dict
    "server.listen" "bindAddress"
    "server.drain_timeout" "shutdown.drainSeconds"
    "server.allow_unauthenticated" "auth.allowUnauthenticated"
    "server.tls" "tls"
    "admin.listen" "metrics"
    "usage.close_within" "shutdown.closeSeconds"
    "auth.mode" "auth.mode"
    "auth.secret" "auth.existingSecret"
    "auth.secret_file" "auth.existingSecret"
    "database.url" "database.existingSecret"
    "local.enabled" "localModel.enabled"
    "log.format" "log.format"
    "log.filter" "log.filter"
    "telemetry.otlp_endpoint" "telemetry.otlpEndpoint" -}}
{{- $config := .Values.config -}}
{{- range $key, $value := $owned -}}
{{- $parts := splitList "." $key -}}
{{- if hasKey (default dict (get $config (index $parts 0))) (index $parts 1) -}}
{{- fail (printf "config.%s: the chart sets this key; use the value %s" $key $value) -}}
{{- end -}}
{{- end -}}
{{- range $name, $provider := default dict $config.providers -}}
{{- if hasKey $provider "api_key" -}}
{{- fail (printf "config.providers.%s.api_key: keys belong in a Secret; use the value providers.existingSecrets with the variable SABIR_PROVIDERS__%s__API_KEY" $name (upper $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
