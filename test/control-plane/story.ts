export interface StorySettings {
  /** `http://127.0.0.1:3000/api/v1` */
  readonly api: string;
  readonly kubeconfigFile: string;
  /** Where `storyManifest` was written. */
  readonly manifestFile: string;
  readonly kubectl: string;
}

/** A Deployment and a Service: the workflow of the story. */
export const storyManifest = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: { app: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: app
          image: example.test/web:1
          ports: [{ containerPort: 80 }]
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: { app: web }
  ports: [{ port: 80, targetPort: 80 }]
`;

/** Lines of the main story, for a POSIX shell with curl and Node, to be pasted one after another. */
export function storyLines(settings: StorySettings): string[] {
  const { api, manifestFile, kubeconfigFile } = settings;
  const kubectl = `${settings.kubectl} --kubeconfig ${kubeconfigFile}`;
  const yaml = "-H 'content-type: application/yaml'";
  return [
    '# prints the id in an answer, or the whole answer when it has none',
    `id_of() { node -e 'const t = require("fs").readFileSync(0, "utf8"); const id = JSON.parse(t).id; id ? console.log(id) : console.error(t)'; }`,
    '# register the cluster',
    `cluster=$(curl -sS --data-binary @${kubeconfigFile} ${yaml} '${api}/clusters?name=local' | id_of)`,
    '# make a workflow of a Deployment and a Service',
    `workflow=$(curl -sS --data-binary @${manifestFile} ${yaml} "${api}/workflows?name=web&clusterId=$cluster&namespace=default" | id_of)`,
    '# follow it',
    `curl -sSN "${api}/streams/workflows/$workflow" &`,
    '# execute it, and see it become healthy',
    `curl -sS -X POST "${api}/workflows/$workflow/execute"`,
    `${kubectl} wait --for=create deployment/web --timeout=60s && ${kubectl} rollout status deployment/web`,
    '# scale it behind the back of the service',
    `${kubectl} scale deployment/web --replicas=3 && ${kubectl} rollout status deployment/web`,
    '# let its pods crash, look at the stream, and let them recover',
    `${kubectl} label pods -l app=web crowsnest.test/behave=crash-loop`,
    `${kubectl} label pods -l app=web crowsnest.test/behave-`,
    '# end the stream',
    'kill $!',
  ];
}
