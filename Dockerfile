# docker build -t wan-studio .
# docker run --gpus all --ipc=host -p 7860:7860 -v wan-data:/home/studio/data -v wan-hub:/home/studio/hub wan-studio
# Without --gpus it runs on the CPU. The password is printed once: docker logs NAME; or set WAN_STUDIO_AUTH.
FROM python:3.11-slim

# gcc is for compiled kernels alone (Settings, Compile); ffmpeg comes with the requirements
RUN apt-get update && apt-get install --no-install-recommends -y gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 studio
WORKDIR /home/studio/app

COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt

COPY --chown=studio . .
RUN install -d -o studio -g studio /home/studio/data /home/studio/hub
USER studio

# the driver's encoder (nvenc) is mounted for "video" alone; "all" is for hosts whose own runtime is NVIDIA's
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    WAN_STUDIO_HOME=/home/studio/data \
    HF_HOME=/home/studio/hub \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_ANALYTICS_ENABLED=False
VOLUME ["/home/studio/data", "/home/studio/hub"]

EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/health', timeout=8)"]
ENTRYPOINT []
CMD ["python", "app.py", "--listen", "--port", "7860"]
