{{- define "driftline.labels" -}}
app.kubernetes.io/name: driftline
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
{{- define "driftline.selector" -}}
app.kubernetes.io/name: driftline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}
{{- define "driftline.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- define "driftline.pod" -}}
serviceAccountName: {{ .root.Release.Name }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
terminationGracePeriodSeconds: 60
containers:
  - name: {{ .component }}
    image: {{ include "driftline.image" .root }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args: [{{ .component }}]
    envFrom:
      - configMapRef: {name: {{ .root.Release.Name }}}
      - secretRef: {name: {{ .root.Values.existingSecret }}}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    resources: {{- toYaml .resources | nindent 6 }}
    {{- if eq .component "web" }}
    ports:
      - {name: http, containerPort: 8080}
      - {name: metrics, containerPort: 9090}
    readinessProbe:
      httpGet: {path: /readyz, port: http}
      periodSeconds: 5
    livenessProbe:
      httpGet: {path: /healthz, port: http}
      periodSeconds: 10
    {{- else if ne .component "migrate" }}
    livenessProbe:
      exec: {command: [driftline, doctor, --alive, {{ .component }}]}
      periodSeconds: 30
      timeoutSeconds: 10
      initialDelaySeconds: 30
    {{- end }}
    volumeMounts:
      - {name: data, mountPath: /var/lib/driftline}
      - {name: tmp, mountPath: /tmp}
volumes:
  - name: data
    emptyDir: {{- if eq .component "worker" }} {sizeLimit: {{ .root.Values.worker.mirrors.size }}}{{ else }} {}{{ end }}
  - name: tmp
    emptyDir: {}
{{- end -}}
