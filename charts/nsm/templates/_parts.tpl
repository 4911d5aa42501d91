{{/* Labels of everything. */}}
{{- define "nsm.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: nsm
{{- end }}

{{/* What selects a program's pods: (list . "nsmgr") */}}
{{- define "nsm.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end }}

{{- define "nsm.name" -}}
{{- $root := index . 0 -}}
{{ printf "%s-%s" $root.Release.Name (index . 1) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "nsm.image" -}}
{{- $root := index . 0 -}}{{- $program := index . 1 -}}{{- $image := $root.Values.image -}}
{{- $name := printf "%s%s/%s" $root.Values.global.imageRegistry $image.repository $program -}}
{{- with index $image.digests $program }}{{ $name }}@{{ . }}{{ else }}{{ $name }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Environment of every program. */}}
{{- define "nsm.env" -}}
- { name: NSM_INSECURE, value: {{ .Values.insecure | quote }} }
- { name: NSM_LOG_LEVEL, value: {{ .Values.logLevel | quote }} }
- { name: NSM_MAX_TOKEN_LIFETIME, value: {{ .Values.maxTokenLifetime | quote }} }
{{- end }}

{{- define "nsm.podName" -}}
- { name: NSM_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
{{- end }}

{{/* Of a container that needs no rights at all (Pod Security: restricted). */}}
{{- define "nsm.restricted" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* The programs answer for themselves over the sockets they listen on. */}}
{{- define "nsm.probes" -}}
startupProbe:
  exec: { command: [node, /app/main.mjs, --probe] }
  periodSeconds: 2
  timeoutSeconds: 6
  failureThreshold: 60
readinessProbe:
  exec: { command: [node, /app/main.mjs, --probe] }
  periodSeconds: 15
  timeoutSeconds: 6
{{- end }}

{{- define "nsm.sockets" -}}
- name: sockets
  hostPath: { path: {{ .Values.socketFolder }}, type: DirectoryOrCreate }
{{- end }}

{{- define "nsm.mount" -}}
- { name: sockets, mountPath: /var/lib/networkservicemesh }
{{- end }}

{{- define "nsm.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
automountServiceAccountToken: false
{{- end }}
