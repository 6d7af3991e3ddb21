"""Every overlay and every combination of components: rendered, valid, restricted, and consistent in itself."""

import json
import os
from functools import cache
from itertools import combinations
from pathlib import Path

import cmvc_options
import kubernetes_validate
import pytest
import yaml
from manifests import K8S, ROOT, by_name, containers, pod_templates, render
from pod_security import violations

from cmvc_decoder.triton.supervisor import START_S

VERSION = "1.32"
FOREIGN = {
    "Certificate": "cert-manager.io/v1",
    "Issuer": "cert-manager.io/v1",
    "ScaledObject": "keda.sh/v1alpha1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
}
YOURS = {"gateway-tokens"}  # Secrets that whoever applies this makes
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())
NAME_LABEL = "app.kubernetes.io/name"
GATEWAY_ALONE = [{"podSelector": {"matchLabels": {NAME_LABEL: "gateway"}}}]
EXCLUSIVE = {"autoscaling", "autoscaling-keda"}
MOST_WITH_WEB = 2  # it changes nothing of the others: each of them beside it is enough
COMBINATIONS = [
    chosen
    for count in range(len(COMPONENTS) + 1)
    for chosen in combinations(COMPONENTS, count)
    if not set(chosen) >= EXCLUSIVE and ("web" not in chosen or count <= MOST_WITH_WEB)
]


def combine(folder, components):
    """Render the base with components."""
    kustomization = {
        "resources": [os.path.relpath(K8S / "base", folder)],
        "components": [os.path.relpath(K8S / "components" / each, folder) for each in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)


@cache
def validate(resource):
    """Do as `kubernetes-validate --strict`; once for what many combinations have alike."""
    kubernetes_validate.validate(json.loads(resource), VERSION, strict=True)


def check(resources):
    """Assert all that holds for whatever is deployed together."""
    for each in resources:
        if FOREIGN.get(each["kind"]) != each["apiVersion"]:
            validate(json.dumps(each))
    for name, template in pod_templates(resources):
        assert list(violations(template["spec"])) == [], name
        check_pod(name, template, resources)
    check_services(resources)
    check_scaling(resources)


def check_pod(name, template, resources):
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False, name
    account = by_name(resources, "ServiceAccount", spec["serviceAccountName"])
    assert account["automountServiceAccountToken"] is False, name
    volumes = {each["name"]: each for each in spec.get("volumes", [])}
    for volume in volumes.values():
        if "configMap" in volume:
            by_name(resources, "ConfigMap", volume["configMap"]["name"])
        if "persistentVolumeClaim" in volume:
            by_name(resources, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
        if "secret" in volume:
            secrets = {each["spec"]["secretName"] for each in resources if each["kind"] == "Certificate"}
            assert volume["secret"]["secretName"] in secrets | YOURS, name
    for container in containers(template):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert {each["name"] for each in container.get("volumeMounts", [])} <= set(volumes), name
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
        assert "memory" in container["resources"]["limits"], name
        assert not container["image"].endswith(":latest"), name
        assert ":" in container["image"], name
        cmvc_options.check({each["name"]: each["value"] for each in container.get("env", []) if "value" in each})


def check_services(resources):
    pods = [template for _, template in pod_templates(resources)]
    for service in (each for each in resources if each["kind"] == "Service"):
        wanted = service["spec"]["selector"].items()
        chosen = [pod for pod in pods if pod["metadata"]["labels"].items() >= wanted]
        assert chosen, service["metadata"]["name"]
        for pod in chosen:
            ports = {port["name"] for container in containers(pod) for port in container.get("ports", [])}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, service["metadata"]["name"]


def check_scaling(resources):
    scaled = [each for each in resources if each["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}]
    for each in scaled:
        deployment = by_name(resources, "Deployment", each["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in deployment["spec"], "two would say how many"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_renders_and_is_valid(overlay):
    check(render(K8S / "overlays" / overlay))


@pytest.mark.parametrize("chosen", COMBINATIONS, ids=lambda chosen: "+".join(chosen) or "base")
def test_a_combination_of_components_renders_and_is_valid(chosen, tmp_path):
    check(combine(tmp_path, chosen))


def test_the_namespace_enforces_what_the_pods_keep_to():
    labels = by_name(render(K8S / "base"), "Namespace", "cmvc")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda spec: spec.update(hostNetwork=True), "hostNetwork"),
        (lambda spec: spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}}), "volume host: hostPath"),
        (lambda spec: spec["securityContext"].pop("runAsNonRoot"), "gateway: runAsNonRoot is not true"),
        (lambda spec: spec["securityContext"].pop("seccompProfile"), "gateway: no seccompProfile"),
        (
            lambda spec: spec["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
            "gateway: allowPrivilegeEscalation is not false",
        ),
        (
            lambda spec: spec["containers"][0]["securityContext"]["capabilities"].pop("drop"),
            "gateway: does not drop ALL capabilities",
        ),
        (lambda spec: spec["containers"][0]["securityContext"].update(runAsUser=0), "gateway: runAsUser is 0"),
    ],
)
def test_a_pod_that_is_not_restricted_is_found(change, line):
    spec = by_name(render(K8S / "base"), "Deployment", "gateway")["spec"]["template"]["spec"]
    assert list(violations(spec)) == []
    change(spec)
    assert list(violations(spec)) == [line]


def test_a_misspelt_variable_is_found():
    with pytest.raises(AssertionError, match="CMVC_SERVE_DECODER_PROFILE is no option"):
        cmvc_options.check({"CMVC_SERVE_DECODER_PROFILE": "embedded"})


@pytest.mark.parametrize("name", ["gateway", "encoder", "decoder"])
@pytest.mark.parametrize("components", [(), ("gpu-triton",)], ids=["base", "gpu-triton"])
def test_work_has_time_to_end(name, components, tmp_path):
    spec = by_name(combine(tmp_path, components), "Deployment", name)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    grace = {each["name"]: each["value"] for each in container["env"]}[f"CMVC_SERVE_{name.upper()}_GRACE"]
    needed = container["lifecycle"]["preStop"]["sleep"]["seconds"] + float(grace)
    assert spec["terminationGracePeriodSeconds"] > needed


@pytest.mark.parametrize("components", [[], ["gpu-triton"]], ids=str)
def test_a_gateway_waits_as_long_as_what_is_behind_it(components, tmp_path):
    resources = combine(tmp_path, components)
    waits = {
        name: by_name(resources, "Deployment", name)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for name in ("gateway", "encoder", "decoder")
    }
    assert waits["gateway"] >= max(waits.values())


def test_triton_outlives_the_decoder_in_its_pod(tmp_path):
    spec = by_name(combine(tmp_path, ["gpu-triton"]), "Deployment", "decoder")["spec"]["template"]["spec"]
    triton = spec["initContainers"][-1]
    assert (triton["name"], triton["restartPolicy"]) == ("triton", "Always")
    assert triton["resources"]["limits"]["nvidia.com/gpu"] == 1
    shared = [
        {mount["mountPath"]: mount["name"] for mount in each["volumeMounts"]}["/dev/shm"]
        for each in (triton, *spec["containers"])
    ]
    assert len(set(shared)) == 1


def test_every_part_that_needs_the_weights_names_the_same_profile(tmp_path):
    resources = combine(tmp_path, ["gpu-triton"])
    spec = by_name(resources, "Deployment", "decoder")["spec"]["template"]["spec"]
    *_, waiting, triton = spec["initContainers"]
    (pulling,) = by_name(resources, "Job", "models-pull")["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in (*triton["env"], *spec["containers"][0]["env"])}
    assert waiting["args"] == pulling["args"] == [environment["CMVC_TRITON_PROFILES"]]
    assert set(environment["CMVC_SERVE_DECODER_PROFILES"].split()) == {*pulling["args"], "embedded"}


def test_how_much_a_gpu_decoder_takes_on_follows_from_the_speed_that_triton_is_told(tmp_path):
    spec = by_name(combine(tmp_path, ["gpu-triton"]), "Deployment", "decoder")["spec"]["template"]["spec"]
    triton, decoder = (
        {variable["name"]: variable["value"] for variable in each["env"]}
        for each in (spec["initContainers"][-1], spec["containers"][0])
    )
    assert triton["CMVC_SPEED"] == decoder["CMVC_SPEED"]
    assert "CMVC_SERVE_DECODER_RUNNING" not in decoder


def test_liveness_does_not_hang_on_what_the_service_can_do_now(tmp_path):
    for components in ((), ("mtls",)):
        for name in ("gateway", "encoder", "decoder"):
            deployment = by_name(combine(tmp_path, components), "Deployment", name)
            (container,) = deployment["spec"]["template"]["spec"]["containers"]
            assert "--live" in container["livenessProbe"]["exec"]["command"]
            assert "--live" in container["startupProbe"]["exec"]["command"]
            assert "--live" not in str(container["readinessProbe"])


def test_probes_ask_a_port_of_their_own_whatever_the_service_asks_of_callers(tmp_path):
    for components in ((), ("mtls", "tokens")):
        for name in ("gateway", "encoder", "decoder"):
            deployment = by_name(combine(tmp_path, components), "Deployment", name)
            (container,) = deployment["spec"]["template"]["spec"]["containers"]
            (port,) = (each["containerPort"] for each in container["ports"] if each["name"] == "health")
            image = Path(ROOT, "docker", f"{name}.Dockerfile").read_text()
            assert f"_HEALTH_LISTEN=0.0.0.0:{port} " in image
            assert container["readinessProbe"]["grpc"]["port"] == port
            for probe in ("livenessProbe", "startupProbe"):
                assert "--tls-ca" not in str(container[probe])


def test_backends_with_certificates_let_in_the_gateway_and_not_its_clients(tmp_path):
    resources = combine(tmp_path, ["mtls"])
    for name in ("encoder", "decoder"):
        (container,) = by_name(resources, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        environment = {each["name"]: each.get("value") for each in container["env"]}
        known = environment[f"CMVC_SERVE_{name.upper()}_TLS_CLIENT_NAMES"]
        assert known in by_name(resources, "Certificate", "gateway")["spec"]["dnsNames"]
        assert known not in by_name(resources, "Certificate", "client")["spec"]["dnsNames"]


def test_the_gateway_finds_backends_by_names_that_have_all_addresses():
    resources = render(K8S / "base")
    spec = by_name(resources, "Deployment", "gateway")["spec"]["template"]["spec"]
    environment = {each["name"]: each["value"] for each in spec["containers"][0]["env"]}
    for variable in ("CMVC_SERVE_GATEWAY_ENCODERS", "CMVC_SERVE_GATEWAY_DECODERS"):
        scheme, name, port = environment[variable].split(":")
        service = by_name(resources, "Service", name)["spec"]
        assert scheme == "dns"
        assert service["clusterIP"] == "None"
        assert int(port) in {each["port"] for each in service["ports"]}


def test_a_backend_has_a_certificate_for_the_name_it_is_found_by(tmp_path):
    resources = combine(tmp_path, ["mtls"])
    for name in ("encoder", "decoder"):
        assert name in by_name(resources, "Certificate", name)["spec"]["dnsNames"]


def test_prometheus_scrapes_names_that_kubernetes_and_compose_have(tmp_path):
    scrapes = yaml.safe_load((ROOT / "deploy/monitoring/prometheus.yml").read_text())["scrape_configs"]
    resources = combine(tmp_path, ["gpu-triton", "web"])
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for scrape in scrapes:
        for found in scrape["dns_sd_configs"]:
            for name in found["names"]:
                service = by_name(resources, "Service", name)["spec"]
                assert service["clusterIP"] == "None"
                assert found["port"] in {each["port"] for each in service["ports"]}
                assert name in compose


def test_the_rules_of_the_adapter_serve_what_the_autoscaler_asks_for(tmp_path):
    adapter = yaml.safe_load((K8S / "components/autoscaling/prometheus-adapter.yaml").read_text())
    served = {rule["name"]["as"] for rule in adapter["externalRules"]}
    for each in combine(tmp_path, ["autoscaling"]):
        if each["kind"] == "HorizontalPodAutoscaler":
            asked = {m["external"]["metric"]["name"] for m in each["spec"]["metrics"] if m["type"] == "External"}
            assert asked <= served


def test_nothing_may_pass_that_no_policy_names(tmp_path):
    resources = combine(tmp_path, ["network-policies"])
    deny = by_name(resources, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_image_of_the_project_has_a_dockerfile():
    for overlay in OVERLAYS:
        for _, template in pod_templates(render(K8S / "overlays" / overlay)):
            for container in containers(template):
                name = container["image"].partition(":")[0]
                if name.startswith("cmvc/"):
                    assert Path(ROOT, "docker", f"{name.removeprefix('cmvc/')}.Dockerfile").is_file()


def test_the_batch_job_has_as_many_shares_as_it_says():
    for overlay in ("batch", "batch-decode"):
        job = by_name(render(K8S / "overlays" / overlay), "Job", overlay if overlay != "batch" else "batch-encode")
        (container,) = job["spec"]["template"]["spec"]["containers"]
        shares = {each["name"]: each["value"] for each in container["env"]}["SHARES"]
        assert int(shares) == job["spec"]["completions"]
        assert job["spec"]["completionMode"] == "Indexed"


def test_the_operators_rules_are_the_rules(tmp_path):
    rule = by_name(combine(tmp_path, ["prometheus-operator"]), "PrometheusRule", "cmvc")
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy/monitoring/rules/cmvc.yml").read_text())


def test_a_sidecar_finds_the_dashboard_and_the_next_release_replaces_it(tmp_path):
    dashboard = by_name(combine(tmp_path, ["prometheus-operator"]), "ConfigMap", "cmvc-dashboard")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert dashboard["data"] == {"cmvc.json": (ROOT / "deploy/monitoring/grafana/dashboards/cmvc.json").read_text()}


def test_the_operators_monitors_find_ports_of_pods_and_services(tmp_path):
    resources = combine(tmp_path, ["prometheus-operator", "gpu-triton", "web"])
    (chosen,) = by_name(resources, "PodMonitor", "cmvc")["spec"]["selector"]["matchExpressions"]
    measured = {
        template["metadata"]["labels"][NAME_LABEL]
        for _, template in pod_templates(resources)
        for container in containers(template)
        if "metrics" in {port["name"] for port in container.get("ports", [])}
    }
    assert set(chosen["values"]) == measured >= {"gateway", "encoder", "decoder", "web"}
    wanted = by_name(resources, "ServiceMonitor", "triton")["spec"]
    service = by_name(resources, "Service", "triton")
    assert service["metadata"]["labels"].items() >= wanted["selector"]["matchLabels"].items()
    assert {each["port"] for each in wanted["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}


def test_only_the_pod_knows_what_opens_its_triton(tmp_path):
    spec = by_name(combine(tmp_path, ["gpu-triton"]), "Deployment", "decoder")["spec"]["template"]["spec"]
    users = {each["name"]: each for each in (*spec["initContainers"], *spec["containers"])}
    for name in ("triton", "decoder"):
        assert {"name": "CMVC_TRITON_KEY_FILE", "value": "/key/triton"} in users[name]["env"]
        assert {"name": "triton-key", "mountPath": "/key", "readOnly": True} in users[name]["volumeMounts"]
    assert spec["initContainers"][0]["name"] == "triton-key"


@pytest.mark.parametrize("overlay", ["gpu", "gpu-one"])
def test_nobody_gets_to_a_gpu_without_a_token(overlay):
    spec = by_name(render(K8S / "overlays" / overlay), "Deployment", "gateway")["spec"]["template"]["spec"]
    environment = {each["name"]: each["value"] for each in spec["containers"][0]["env"]}
    assert environment["CMVC_SERVE_GATEWAY_TOKEN_FILE"].startswith("/tokens/")


def environment_of(resources, name):
    (container,) = by_name(resources, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value") for each in container["env"]}


def selects(selector, name):
    """Return whether a selector of pods takes that service's."""
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    values = [each["values"] for each in selector.get("matchExpressions", []) if each["key"] == NAME_LABEL]
    return all(name in each for each in values) and selector.get("matchLabels", {NAME_LABEL: name}) == {
        NAME_LABEL: name
    }


def called_by_anyone(resources, name):
    """Return whether some pod other than the gateway's reaches the port that a service takes work at, and is let in."""
    if environment_of(resources, name)[f"CMVC_SERVE_{name.upper()}_INSECURE"] != "true":
        return False
    policies = [each["spec"] for each in resources if each["kind"] == "NetworkPolicy"]
    policies = [each for each in policies if "Ingress" in each["policyTypes"] and selects(each["podSelector"], name)]
    rules = [rule for each in policies for rule in each.get("ingress", [])]
    to_work = [each for each in rules if {port["port"] for port in each["ports"]} & {"grpc", 50051}]
    return not policies or any(each.get("from") != GATEWAY_ALONE for each in to_work)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_overlay_with_tokens_leaves_a_way_past_its_gateway(overlay):
    resources = render(K8S / "overlays" / overlay)
    names = {each["metadata"]["name"] for each in resources if each["kind"] == "Deployment"}
    if "gateway" in names and "CMVC_SERVE_GATEWAY_TOKEN_FILE" in environment_of(resources, "gateway"):
        assert [name for name in ("encoder", "decoder") if called_by_anyone(resources, name)] == []


@pytest.mark.parametrize(("component", "is_open"), [("tokens", True), ("mtls", False), ("network-policies", False)])
def test_a_way_past_the_gateway_is_found(component, is_open, tmp_path):
    resources = combine(tmp_path, [component])
    for name in ("encoder", "decoder"):
        assert called_by_anyone(resources, name) is is_open


def test_one_machine_waits_for_its_triton():
    spec = by_name(render(K8S / "overlays" / "gpu-one"), "Deployment", "gateway")["spec"]["template"]["spec"]
    environment = {each["name"]: each["value"] for each in spec["containers"][0]["env"]}
    assert float(environment["CMVC_SERVE_GATEWAY_WAIT"]) > START_S
