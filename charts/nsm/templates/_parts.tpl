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

{{/* Where a program finds who it is. */}}
{{- define "nsm.identityEnv" -}}
{{- if eq .Values.identity.mode "insecure" -}}
- { name: NSM_INSECURE, value: 'true' }
{{- else if eq .Values.identity.mode "spire" -}}
- { name: SPIFFE_ENDPOINT_SOCKET, value: "unix:///run/identity/{{ .Values.identity.spire.socket }}" }
{{- else -}}
- { name: SPIFFE_ENDPOINT_SOCKET, value: "unix:///run/identity/api.sock" }
{{- end }}
{{- end }}

{{/* Environment of every program that has an identity. */}}
{{- define "nsm.env" -}}
{{ include "nsm.identityEnv" . }}
- { name: NSM_LOG_LEVEL, value: {{ .Values.logLevel | quote }} }
- { name: NSM_MAX_TOKEN_LIFETIME, value: {{ .Values.maxTokenLifetime | quote }} }
{{- with .Values.tracing.endpoint }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }} }
{{- end }}
{{- end }}

{{/* Metrics on a port: (list . 9464) */}}
{{- define "nsm.metricsEnv" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.metrics.enabled -}}
- { name: NSM_PROMETHEUS_LISTEN_ON, value: ":{{ index . 1 }}" }
{{- end }}
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

{{/* The programs answer for themselves over the sockets they listen on (docs/telemetry.md, health). */}}
{{- define "nsm.probes" -}}
startupProbe:
  exec: { command: [node, /app/main.mjs, --probe, {{ . }}] }
  periodSeconds: 2
  timeoutSeconds: 6
  failureThreshold: 60
livenessProbe:
  exec: { command: [node, /app/main.mjs, --probe, liveness] }
  periodSeconds: 30
  timeoutSeconds: 6
  failureThreshold: 3
readinessProbe:
  exec: { command: [node, /app/main.mjs, --probe, readiness] }
  periodSeconds: 15
  timeoutSeconds: 6
{{- end }}

{{/* What a program sees of its node: the sockets of the mesh, and its identity: (list . "nsmgr") */}}
{{- define "nsm.volumes" -}}
{{- $root := index . 0 -}}
- name: sockets
  hostPath: { path: {{ $root.Values.socketFolder }}, type: DirectoryOrCreate }
{{- with include "nsm.identityVolume" . }}
{{ . }}
{{- end }}
{{- end }}

{{- define "nsm.identityVolume" -}}
{{- $root := index . 0 -}}{{- $identity := $root.Values.identity -}}
{{- if eq $identity.mode "embedded" -}}
- name: identity
  hostPath: { path: "{{ $identity.embedded.folder }}/{{ index . 1 }}", type: Directory }
{{- else if and (eq $identity.mode "spire") $identity.spire.csi -}}
- name: identity
  csi: { driver: csi.spiffe.io, readOnly: true }
{{- else if eq $identity.mode "spire" -}}
- name: identity
  hostPath: { path: {{ $identity.spire.folder }}, type: Directory }
{{- end }}
{{- end }}

{{- define "nsm.mounts" -}}
- { name: sockets, mountPath: /var/lib/networkservicemesh }
{{- with include "nsm.identityMount" . }}
{{ . }}
{{- end }}
{{- end }}

{{- define "nsm.identityMount" -}}
{{- if ne .Values.identity.mode "insecure" -}}
- { name: identity, mountPath: /run/identity, readOnly: true }
{{- end }}
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

{{/* The client of the example. */}}
{{- define "nsm.exampleClient" -}}
image: {{ include "nsm.image" (list . "nsc") }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- include "nsm.restricted" . | nindent 2 }}
env:
  {{- include "nsm.env" . | nindent 2 }}
  {{- include "nsm.podName" . | nindent 2 }}
  - { name: NSM_LISTEN_ON, value: "unix:///var/lib/networkservicemesh/$(NSM_NAME).sock" }
  - { name: NSM_NETWORK_SERVICES, value: "kernel://{{ .Release.Name }}-example/nsm-1" }
{{ include "nsm.probes" "readiness" }}
resources: { requests: { cpu: 10m, memory: 72Mi }, limits: { memory: 128Mi } }
volumeMounts: {{- include "nsm.mounts" . | nindent 2 }}
{{- end }}
