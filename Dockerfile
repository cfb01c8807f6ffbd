# The model server alone: no shell, no libc, not root. `make image` builds the static binary on the host and lays it out
# in bin/image, so nothing is pulled. The model is baked in (make image MODEL=model.pkl) or mounted at /models.
FROM scratch

ARG MODEL_NAME=iris
ARG MODEL_VERSION=dev
ARG MODEL_DIGEST=
ARG REVISION=unknown

LABEL org.opencontainers.image.title="Weir inference server" \
      org.opencontainers.image.description="Serves a pickled scikit-learn model over HTTP" \
      org.opencontainers.image.source="https://github.com/weirhq/weir" \
      org.opencontainers.image.licenses="MPL-2.0" \
      org.opencontainers.image.version="${MODEL_VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

ENV MODEL_NAME=${MODEL_NAME} \
    MODEL_VERSION=${MODEL_VERSION} \
    MODEL_DIGEST=${MODEL_DIGEST} \
    MODEL_PATH=/models/model.pkl \
    LISTEN_ADDR=:8080

COPY bin/image/ /

USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s CMD ["/inference", "healthcheck"]
ENTRYPOINT ["/inference"]
