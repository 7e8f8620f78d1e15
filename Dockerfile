# One image with all programs: compose runs it as web and as worker. No syntax
# line: the classic builder of Debian's docker.io reads it as well.

FROM debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        gcc libc6-dev cmake ninja-build pkg-config libevent-dev libhiredis-dev \
        libjansson-dev libcurl4-openssl-dev libssl-dev libsqlite3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY CMakeLists.txt CMakePresets.json ./
COPY cmake cmake
COPY shared shared
COPY web web
COPY worker worker
COPY cli cli
COPY bench bench
COPY examples examples
RUN cmake --preset release -DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX=/usr/local \
    && cmake --build --preset release \
    && DESTDIR=/out cmake --install build --strip \
    && install -D -m 644 -t /out/usr/local/lib/pitmaster build/examples/*.so

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libevent-2.1-7 libhiredis0.14 libjansson4 libcurl4 libssl3 \
        libsqlite3-0 ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 pit \
    && useradd --system --uid 10001 --gid pit --no-create-home \
        --home-dir /var/lib/pitmaster --shell /usr/sbin/nologin pit \
    && install -d -o pit -g pit -m 750 /var/lib/pitmaster
COPY --from=build /out/usr/local/bin /usr/local/bin
COPY --from=build /out/usr/local/lib/pitmaster /usr/local/lib/pitmaster
USER pit
WORKDIR /var/lib/pitmaster
ENV PIT_APP=/usr/local/lib/pitmaster/smokehouse.so \
    PIT_REDIS=redis://redis:6379/0
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["pit", "health", "--url", "http://127.0.0.1:8000"]
CMD ["pit-web", "--listen", "0.0.0.0:8000"]
