# The portal in one image; the command says what a container is: nginx, portal-helper, portalctl …, migrate.
FROM debian:bookworm-slim AS build
WORKDIR /src/portal
COPY conf/packages conf/packages
RUN bash conf/packages build packaging
COPY . .
RUN DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -b -us -uc

FROM debian:bookworm-slim
COPY --from=build /src/*.deb /tmp/packages/
# systemd-standalone-*: in place of systemd, for the package's user and directory
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get update \
    && apt-get install -y --no-install-recommends nginx ca-certificates \
        systemd-standalone-sysusers systemd-standalone-tmpfiles /tmp/packages/*.deb \
    && rm -rf /tmp/packages /var/lib/apt/lists/* \
    && ln -sf /dev/stdout /var/log/nginx/access.log \
    && ln -sf /dev/stderr /var/log/nginx/error.log \
    && mkdir /docker-entrypoint.d
COPY --chmod=0755 conf/container/entrypoint /docker-entrypoint.sh
COPY --chmod=0755 conf/container/health /docker-health.sh
EXPOSE 80
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=3s CMD ["/docker-health.sh"]
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
