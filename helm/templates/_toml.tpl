{{/*
A map as TOML. Helm's own toToml writes whole numbers from values files as 5.0, which is no whole number to a reader of TOML.
*/}}

{{- define "sabir.toml.key" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . -}}{{ . }}{{- else -}}{{ toJson . }}{{- end -}}
{{- end -}}

{{/* A value on one line. JSON's strings are strings of TOML too. */}}
{{- define "sabir.toml.value" -}}
{{- if kindIs "slice" . -}}
{{- $items := list -}}
{{- range . -}}{{- $items = append $items (include "sabir.toml.value" .) -}}{{- end -}}
[{{ join ", " $items }}]
{{- else if kindIs "map" . -}}
{{- $items := list -}}
{{- range $key, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $items = append $items (printf "%s = %s" (include "sabir.toml.key" $key) (include "sabir.toml.value" $value)) -}}
{{- end -}}
{{- end -}}
{ {{- join ", " $items -}} }
{{- else if kindIs "float64" . -}}
{{- if eq . (floor .) -}}{{ printf "%.0f" . }}{{- else -}}{{ toJson . }}{{- end -}}
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* A table and those in it: (dict "path" LIST "table" MAP). A table's own keys come before its tables. */}}
{{- define "sabir.toml.table" -}}
{{- $path := .path -}}
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ include "sabir.toml.key" $key }} = {{ include "sabir.toml.value" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{- $here := append $path (include "sabir.toml.key" $key) }}

[{{ join "." $here }}]
{{- include "sabir.toml.table" (dict "path" $here "table" $value) }}
{{- end }}
{{- end }}
{{- end -}}
