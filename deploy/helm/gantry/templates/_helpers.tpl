{{- define "gantry.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the selectors name: nothing that an upgrade changes. */}}
{{- define "gantry.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gantry.labels" -}}
{{ include "gantry.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "gantry.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "many" where replicas share database and bucket, else empty: then one process has the volume to itself. */}}
{{- define "gantry.many" -}}
{{- $storage := default dict .Values.config.storage -}}
{{- if and .Values.database.existingSecret (eq (default "files" $storage.backend) "s3") -}}many{{- end -}}
{{- end -}}

{{- define "gantry.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{ include "gantry.fullname" . }}-tls
{{- else -}}
{{ .Values.tls.existingSecret }}
{{- end -}}
{{- end -}}

{{- define "gantry.masterKeySecret" -}}
{{- if .Values.masterKey.job.enabled -}}
{{ include "gantry.fullname" . }}-master-key
{{- else -}}
{{ .Values.masterKey.existingSecret }}
{{- end -}}
{{- end -}}

{{- define "gantry.claim" -}}
{{- default (include "gantry.fullname" .) .Values.persistence.existingClaim -}}
{{- end -}}

{{/* The pods' security context: over what `own` sets, the values. OpenShift gives each namespace its own user and group
and refuses any other. */}}
{{- define "gantry.podSecurity" -}}
{{- $own := dict -}}
{{- if and .root.Values.volumeGroup (not (.root.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
{{- $own = mergeOverwrite (dict "fsGroup" .root.Values.volumeGroup) .own -}}
{{- end -}}
{{- toYaml (mergeOverwrite $own (deepCopy .root.Values.podSecurityContext)) -}}
{{- end -}}

{{- define "gantry.externalHost" -}}
{{- (urlParse .Values.externalUrl).hostname -}}
{{- end -}}

{{/* One TOML table with its scalars and lists, then the tables in it. JSON's texts, numbers and lists are TOML's. */}}
{{- define "gantry.table" -}}
{{- $path := .path -}}
[{{ $path }}]
{{- range $key, $value := .table }}
{{- if not (kindIs "map" $value) }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{ range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{ include "gantry.table" (dict "path" (printf "%s.%s" $path $key) "table" $value) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* gantry.toml: what the chart itself has to set, and over it the values of `config`. */}}
{{- define "gantry.toml" -}}
{{- $name := include "gantry.fullname" . -}}
{{- $server := dict
    "metrics_listen" "0.0.0.0:9464"
    "drain_delay_secs" 10
    "names" (list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace)) -}}
{{- with .Values.externalUrl }}{{ $_ := set $server "external_url" . }}{{ end -}}
{{- $own := dict "server" $server "log" (dict "format" "json") -}}
{{- if include "gantry.tlsSecret" . }}
{{- $_ := set $own "tls" (dict "certificate" "/etc/gantry-tls/tls.crt" "key" "/etc/gantry-tls/tls.key") }}
{{- end }}
{{- if include "gantry.masterKeySecret" . }}
{{- $_ := set $own "secrets" (dict "master_key_file" "/etc/gantry-master-key/master.key") }}
{{- end }}
{{- range $section, $table := mergeOverwrite $own (deepCopy .Values.config) }}
{{ include "gantry.table" (dict "path" $section "table" $table) }}
{{- end }}
{{- end -}}
