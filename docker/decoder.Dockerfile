# The decoder. Build from the root of the repository:
#   docker build -f docker/decoder.Dockerfile -t cmvc/decoder:0.2.0 .
# Tags are pinned here; a release pins the base image's digest too: --build-arg BASE_IMAGE=NAME@sha256:...
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
# pip's settings exist in this stage alone. A bundle of authorities comes as a secret:
#   --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt --build-arg PIP_CERT=/run/secrets/ca
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_CERT
# triton: the client of a Triton server. diffusion: models in the decoder itself; installs torch.
ARG EXTRAS=triton
# cli,tracing,storage: inputs and outputs of batches in object storage, too.
ARG SDK_EXTRAS=cli,tracing
WORKDIR /src
RUN python3 -m venv --without-pip /opt/cmvc
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
COPY cmvc cmvc
COPY services/decoder services/decoder
# The environment itself gets no pip. Modules are compiled now: at run time the file system is read-only.
RUN --mount=type=secret,id=ca \
    python3 -m pip --python /opt/cmvc/bin/python --no-cache-dir --disable-pip-version-check \
      install --root-user-action ignore -c constraints.txt ".[${SDK_EXTRAS}]" "./services/decoder[${EXTRAS}]"
COPY docker/health.py LICENSE NOTICE /opt/cmvc/

FROM ${BASE_IMAGE}
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cmvc-decoder" \
      org.opencontainers.image.description="Turns CMVC streams into video, on a CPU or through Triton" \
      org.opencontainers.image.licenses="Apache-2.0 AND BSD-3-Clause AND MIT AND LGPL-3.0-or-later AND GPL-2.0-or-later" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 cmvc \
 && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin cmvc \
 && install -d -o 10001 -g 10001 /models /key
COPY --from=build /opt/cmvc /opt/cmvc
ENV PATH=/opt/cmvc/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    CMVC_MODELS=/models \
    CMVC_SERVE_DECODER_LISTEN=0.0.0.0:50051 \
    CMVC_SERVE_DECODER_HEALTH_LISTEN=0.0.0.0:50052 \
    CMVC_SERVE_DECODER_METRICS_LISTEN=0.0.0.0:9090
USER 10001:10001
WORKDIR /tmp
EXPOSE 50051 50052 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/opt/cmvc/bin/python", "/opt/cmvc/health.py"]
ENTRYPOINT ["/opt/cmvc/bin/cmvc", "serve", "decoder"]
