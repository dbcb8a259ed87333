# The page and its API on a CPU: docker build -t styletransfer . && docker run -p 8765:8765 styletransfer
FROM python:3.12-slim

# PyTorch's build for CPUs takes 0.2 GB instead of several. Give what its site tells pip to install:
# docker build --build-arg TORCH="…" -t styletransfer .
ARG TORCH="torch>=2.6,<2.14"
RUN pip install --no-cache-dir $TORCH

WORKDIR /build
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY configs configs
COPY styletransfer styletransfer
RUN pip install --no-cache-dir ".[score]" && rm -rf /build

# No root; styles that are trained here stay in the volume.
RUN useradd --create-home --uid 1000 musician && mkdir /styles && chown musician /styles
USER musician
WORKDIR /home/musician
ENV STYLETRANSFER_HOME=/styles
VOLUME /styles
EXPOSE 8765

# Behind a proxy, add --public https://music.example.org.
ENTRYPOINT ["styletransfer", "serve", "--host", "0.0.0.0"]
