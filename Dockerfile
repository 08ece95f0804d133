FROM python:3.11-slim

RUN useradd --create-home --uid 1000 studio
WORKDIR /home/studio/app

COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt

COPY --chown=studio . .
USER studio

ENV WAN_STUDIO_HOME=/home/studio/data \
    HF_HOME=/home/studio/data/huggingface \
    GRADIO_ANALYTICS_ENABLED=False
RUN mkdir -p "$WAN_STUDIO_HOME"
VOLUME /home/studio/data

EXPOSE 7860
HEALTHCHECK --interval=30s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/')"]
CMD ["python", "app.py", "--host", "0.0.0.0"]
