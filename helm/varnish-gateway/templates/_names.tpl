{{- define "varnish-gateway.name" -}}
{{- $chart := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains $chart .Release.Name -}}
{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $chart | trunc 53 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "varnish-gateway.selector" -}}
app.kubernetes.io/name: varnish-gateway-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Ours, which the user's own cannot take the place of. */ -}}
{{- define "varnish-gateway.own-labels" -}}
{{ include "varnish-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "varnish-gateway.labels" -}}
{{ mergeOverwrite (deepCopy .Values.commonLabels) (include "varnish-gateway.own-labels" . | fromYaml) | toYaml }}
{{- end }}

{{- define "varnish-gateway.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "varnish-gateway.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- /* Given: image, version. */ -}}
{{- define "varnish-gateway.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .version }}
{{- end -}}
{{- end }}
