# Triton with the generator profiles, for GPUs. Build from the root of the repository:
#   docker build -f docker/triton.Dockerfile -t cmvc/triton:0.2.0 .
# Tags are pinned here; a release pins the base image's digest too: --build-arg BASE_IMAGE=NAME@sha256:...
ARG BASE_IMAGE=nvcr.io/nvidia/tritonserver:25.10-py3

FROM ${BASE_IMAGE} AS build
# pip's settings exist in this stage alone. A bundle of authorities comes as a secret:
#   --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt --build-arg PIP_CERT=/run/secrets/ca
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_CERT
WORKDIR /src
RUN python3 -m venv --without-pip /opt/cmvc
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
COPY cmvc cmvc
COPY services/decoder services/decoder
# The environment itself gets no pip. Modules are compiled now: at run time the file system is read-only.
RUN --mount=type=secret,id=ca \
    python3 -m pip --python /opt/cmvc/bin/python --no-cache-dir --disable-pip-version-check \
      install --root-user-action ignore -c constraints.txt '.[cli,tracing]' './services/decoder[diffusion,triton]'
COPY LICENSE NOTICE /opt/cmvc/
COPY services/decoder/model_repository /opt/cmvc/model_repository

FROM ${BASE_IMAGE}
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cmvc-triton" \
      org.opencontainers.image.description="Triton with CMVC's generator profiles" \
      org.opencontainers.image.licenses="Apache-2.0 AND BSD-3-Clause AND MIT AND LGPL-3.0-or-later AND GPL-2.0-or-later AND LicenseRef-NVIDIA-Deep-Learning-Container" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 cmvc \
 && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin cmvc \
 && install -d -o 10001 -g 10001 /models /key
COPY --from=build /opt/cmvc /opt/cmvc
# Kernels that are compiled at run time go to /models/.kernels where that may be written to, else below /tmp.
ENV PATH=/opt/cmvc/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CMVC_MODELS=/models \
    CMVC_TRITON_SERVER=/opt/tritonserver \
    CMVC_TRITON_REPOSITORY=/opt/cmvc/model_repository \
    CMVC_TRITON_LISTEN=0.0.0.0:8001 \
    CMVC_TRITON_METRICS_PORT=8002
USER 10001:10001
WORKDIR /tmp
EXPOSE 8001 8002
STOPSIGNAL SIGTERM
# Triton answers "ready" also when a model's process is dead. That is the supervisor's to find out, and the decoder's.
HEALTHCHECK --interval=15s --timeout=5s --start-period=600s --retries=3 \
  CMD ["/opt/cmvc/bin/python", "-c", "import tritonclient.grpc as t; raise SystemExit(not t.InferenceServerClient('127.0.0.1:8001').is_server_ready(client_timeout=4))"]
# The base image's entry point prints a banner and needs a writable file system.
ENTRYPOINT ["/opt/cmvc/bin/cmvc", "triton"]
