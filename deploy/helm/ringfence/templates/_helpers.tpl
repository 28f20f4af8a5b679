{{- define "ringfence.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "ringfence.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ringfence.labels" -}}
{{ include "ringfence.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "ringfence.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* The store, which must be one that all instances share: with one each, every instance would count its own caps, and none would see the opt-outs of the others. Not the schema alone says so: it can be skipped. */}}
{{- define "ringfence.store" -}}
{{- $url := required "store.url: the Redis that all instances share; the embedded store is for one machine, and this chart is for several" .Values.store.url }}
{{- if not (regexMatch "^rediss?([+]sentinel|[+]cluster)?://[^@ ]+$" $url) }}
{{- fail (printf "store.url: %s is no Redis that all instances share: each would count caps of its own and allow what another has used up; and no password stands in it" (regexReplaceAll "//.*@" $url "//…@")) }}
{{- end }}
{{- if regexMatch "[/,](localhost|127[.][0-9.]+|\\[::1\\])(:|,|/|$)" $url }}
{{- fail "store.url: a Redis in the pod itself is one for each instance: each would count caps of its own and allow what another has used up; name one that all share" }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if and (hasPrefix "RINGFENCE_" .name) (not (has .name (list "RINGFENCE_LOG_FILTER" "RINGFENCE_STORE_PASSWORD" "RINGFENCE_SENTINEL_PASSWORD"))) }}
{{- fail (printf "extraEnv: %s is a setting, which would win over what the chart says, the shared store among it: use `settings`, or the value that the chart has for it" .name) }}
{{- end }}
{{- end }}
{{- $url }}
{{- end }}
