# One file for all programs: `docker build --target nsmgr .`; `npm run images` builds every target.
#
# BASE_IMAGE  an image with Node 24; for BUNDLES=build also npm
# BUNDLES     build: install and bundle within the image; prebuilt: take dist/ as it is, without any network (needs BuildKit)
ARG BASE_IMAGE=node:24-bookworm-slim
ARG BUNDLES=build

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY . .
ARG COMMIT=unknown
RUN NSM_COMMIT=${COMMIT} npm run build && npm run sbom -- --packages /var/lib/dpkg/status --node $(node --version) && mv dist /out && find /out -name '*.map' -delete

FROM scratch AS prebuilt
COPY dist/ /out/

FROM ${BUNDLES} AS bundles

# What all have in common. The FFI library is loaded by whatever touches namespaces.
FROM ${BASE_IMAGE} AS common
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="nsm"
ENV NODE_ENV=production
COPY --from=bundles /out/node_modules/ /app/node_modules/
# No program needs more than this, but for the forwarder. Sockets go to a volume that this user can write to.
USER 65532:65532

FROM common AS program
# Each probe starts Node: a fifth of a second of a processor.
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=3 CMD ["node", "/app/main.mjs", "--probe"]
ENTRYPOINT ["node", "/app/main.mjs"]

# The authority it keeps is its own: in a volume on /data, which is this user's.
FROM program AS identity
LABEL org.opencontainers.image.title="nsm identity server"
COPY --from=bundles /out/identity/ /app/
WORKDIR /data

FROM program AS registry
LABEL org.opencontainers.image.title="nsm registry"
COPY --from=bundles /out/registry/ /app/

FROM program AS nsmgr
LABEL org.opencontainers.image.title="nsm manager"
COPY --from=bundles /out/nsmgr/ /app/

# Runs as root with CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_SYS_PTRACE and no others; never privileged. Another user does not do:
# a container engine gives no ambient capabilities.
FROM program AS forwarder
LABEL org.opencontainers.image.title="nsm forwarder"
COPY --from=bundles /out/forwarder/ /app/
USER 0:0

FROM program AS nsc
LABEL org.opencontainers.image.title="nsm client"
COPY --from=bundles /out/nsc/ /app/

FROM program AS nse
LABEL org.opencontainers.image.title="nsm endpoint"
COPY --from=bundles /out/nse/ /app/

# The command line: `docker run --rm IMAGE get connections --nsmgr URL`.
FROM common AS nsm
LABEL org.opencontainers.image.title="nsm command line"
COPY --from=bundles /out/nsm/ /app/nsm/
COPY --from=bundles /out/bin/nsm /app/bin/nsm
ENV PATH=/app/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENTRYPOINT ["nsm"]
CMD ["--help"]
