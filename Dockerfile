FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

WORKDIR /src
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY worker worker
COPY tasks tasks
COPY clients clients
COPY models models
COPY sandbox sandbox
RUN pip install --no-deps --no-build-isolation . && useradd --uid 1000 --create-home axkomet

USER axkomet
WORKDIR /home/axkomet
ENTRYPOINT ["axkomet"]
