{{- define "infermux.name" -}}
{{- if contains "infermux" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-infermux" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "infermux.selector" -}}
app.kubernetes.io/name: infermux
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "infermux.labels" -}}
{{ include "infermux.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "infermux.secret" -}}
{{- .Values.existingSecret | default (include "infermux.name" .) -}}
{{- end -}}

{{/* The file: what the values say, and what the chart itself decides. */}}
{{- define "infermux.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $state := dict "state_file" "/var/lib/infermux/state.json" -}}
{{- $own := dict "listen" ":8080" "management_listen" ":8081" -}}
{{- if .Values.persistence.enabled -}}
{{- $_ := set $own "budgets" (merge (dict) $state (.Values.config.budgets | default dict)) -}}
{{- end -}}
{{- if .Values.valkey.enabled -}}
{{- $url := printf "redis://:${%s}@%s-valkey:6379/0" .Values.valkey.passwordKey (include "infermux.name" .) -}}
{{- $_ := set $own "shared" (merge (dict "url" $url "namespace" .Values.valkey.namespace) (.Values.config.shared | default dict)) -}}
{{- end -}}
{{- if .Values.keys -}}
{{- $auth := dict "mode" "keys" "keys_file" "/etc/infermux-keys/keys.yml" -}}
{{- $_ := set $own "auth" $auth -}}
{{- $_ := set $config "auth" (omit ($config.auth | default dict) "key") -}}
{{- end -}}
{{- merge $own $config | toYaml -}}
{{- end -}}
