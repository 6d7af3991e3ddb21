"""The level `restricted` of Kubernetes' Pod Security Standards, for one pod spec."""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
PROFILES = {"RuntimeDefault", "Localhost"}


def violations(spec):
    """Yield what the admission of a namespace with `enforce: restricted` would refuse, one line each."""
    yield from _pod(spec)
    pod = spec.get("securityContext", {})
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind, []):
            for line in _container(container, pod):
                yield f"{container['name']}: {line}"


def _pod(spec):
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    for volume in spec.get("volumes", []):
        if foreign := set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']}: {foreign.pop()}"
    if spec.get("securityContext", {}).get("sysctls"):
        yield "sysctls"


def _container(container, pod):
    own = container.get("securityContext", {})
    both = {**pod, **own}
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if both.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if both.get("seccompProfile", {}).get("type") not in PROFILES:
        yield "no seccompProfile"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "does not drop ALL capabilities"
    if extra := set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"adds capabilities {extra}"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "hostPort"
