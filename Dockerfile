# infermux in a container: docker build -t infermux .
# How to run it, io_uring included: tools/deploy/README.md.

FROM rust:1.90-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin infermux \
    && install -d -m 0700 /state

# Nothing but the C library, its name look-up, and the trust roots; no shell, and no root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/infermux /usr/local/bin/infermux
COPY --from=build --chown=nonroot:nonroot /state /var/lib/infermux
ENV INFERMUX_CONFIG=/etc/infermux/infermux.yml \
    INFERMUX_LOG_FORMAT=json
USER nonroot
EXPOSE 8080
VOLUME /var/lib/infermux
# It asks http://127.0.0.1:8080, or what INFERMUX_SERVER says; needs no token, and does not care how
# the providers are.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/infermux", "ready"]
ENTRYPOINT ["/usr/local/bin/infermux"]
# `docker stop` waits ten seconds.
CMD ["serve", "--graceful-shutdown", "7s"]
