# The encoder. Build from the root of the repository:
#   docker build -f docker/encoder.Dockerfile -t cmvc/encoder:0.2.0 .
# Tags are pinned here; a release pins the base image's digest too: --build-arg BASE_IMAGE=NAME@sha256:...
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
# pip's settings exist in this stage alone. A bundle of authorities comes as a secret:
#   --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt --build-arg PIP_CERT=/run/secrets/ca
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_CERT
# openai: captions by an OpenAI-compatible server. transformers: by a model in the encoder; installs torch.
ARG EXTRAS=openai
# cli,tracing,storage: inputs and outputs of batches in object storage, too.
ARG SDK_EXTRAS=cli,tracing
WORKDIR /src
RUN python3 -m venv --without-pip /opt/cmvc
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
COPY cmvc cmvc
COPY services/encoder services/encoder
# The environment itself gets no pip. Modules are compiled now: at run time the file system is read-only.
RUN --mount=type=secret,id=ca \
    python3 -m pip --python /opt/cmvc/bin/python --no-cache-dir --disable-pip-version-check \
      install --root-user-action ignore -c constraints.txt ".[${SDK_EXTRAS}]" "./services/encoder[${EXTRAS}]"
COPY docker/health.py LICENSE NOTICE /opt/cmvc/

FROM ${BASE_IMAGE}
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cmvc-encoder" \
      org.opencontainers.image.description="Turns video into CMVC streams" \
      org.opencontainers.image.licenses="Apache-2.0 AND BSD-3-Clause AND MIT AND LGPL-3.0-or-later AND GPL-2.0-or-later" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 cmvc \
 && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin cmvc
COPY --from=build /opt/cmvc /opt/cmvc
# Videos are read under a filter of system calls. Debian's apt needs libseccomp2, so that it is there; without it the build ends.
RUN ["/opt/cmvc/bin/python", "-c", "import pyseccomp"]
ENV PATH=/opt/cmvc/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    CMVC_SERVE_ENCODER_LISTEN=0.0.0.0:50051 \
    CMVC_SERVE_ENCODER_HEALTH_LISTEN=0.0.0.0:50052 \
    CMVC_SERVE_ENCODER_METRICS_LISTEN=0.0.0.0:9090
USER 10001:10001
WORKDIR /tmp
EXPOSE 50051 50052 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/opt/cmvc/bin/python", "/opt/cmvc/health.py"]
ENTRYPOINT ["/opt/cmvc/bin/cmvc", "serve", "encoder"]
