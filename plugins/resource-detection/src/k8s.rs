//! The pod Kiln runs in: `k8s.*`, from variables that the pod's specification sets by the downward API.
//!
//! The directory with the namespace holds the token of the service account too. It is not asked for.

use kiln_plugin::env::Env;

use crate::findings::Findings;

const VARIABLES: [(&str, &str); 7] = [
    ("k8s.cluster.name", "K8S_CLUSTER_NAME"),
    ("k8s.namespace.name", "K8S_NAMESPACE_NAME"),
    ("k8s.node.name", "K8S_NODE_NAME"),
    ("k8s.pod.name", "K8S_POD_NAME"),
    ("k8s.pod.uid", "K8S_POD_UID"),
    ("k8s.container.name", "K8S_CONTAINER_NAME"),
    ("k8s.deployment.name", "K8S_DEPLOYMENT_NAME"),
];

pub(crate) fn detect(env: Env<'_>, findings: &mut Findings) {
    for (key, variable) in VARIABLES {
        findings.add_if_there(key, env.get(variable), variable);
    }
}
