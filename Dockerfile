FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/axkomet
WORKDIR /src
COPY requirements.lock ./
RUN /opt/axkomet/bin/pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY worker worker
COPY tasks tasks
COPY clients clients
COPY models models
COPY sandbox sandbox
RUN /opt/axkomet/bin/pip install --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
ENV PATH=/opt/axkomet/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --uid 1000 --create-home axkomet
COPY --from=build /opt/axkomet /opt/axkomet
USER 1000:1000
WORKDIR /home/axkomet
ENTRYPOINT ["axkomet"]
CMD ["--help"]
