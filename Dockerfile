# One image for every role: web, worker, beat, receiver and migrate differ in their command only (docker-compose.yml).
FROM python:3.13-slim AS packages
COPY requirements.txt /tmp/
RUN python -m venv /opt/airf5 \
 && /opt/airf5/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements.txt

FROM python:3.13-slim AS airf5
LABEL org.opencontainers.image.title="airf5" \
      org.opencontainers.image.description="Airflow tries joined with F5 BIG-IP logs"
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home --home-dir /var/lib/airf5 --shell /usr/sbin/nologin airf5 \
 && install -d -o airf5 -g airf5 /var/lib/airf5 /var/spool/airf5
COPY --from=packages /opt/airf5 /opt/airf5
COPY . /srv/airf5
WORKDIR /srv/airf5
ENV PATH=/opt/airf5/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    AIRF5_HOME=/var/lib/airf5 AIRF5_SPOOL_DIR=/var/spool/airf5 AIRF5_BIND=0.0.0.0
RUN AIRF5_HOME=/tmp/build python manage.py collectstatic --noinput --verbosity 0 && rm -rf /tmp/build
USER airf5
EXPOSE 8800 5514 5514/udp
ENTRYPOINT ["tini", "--"]
CMD ["gunicorn", "airf5.wsgi"]

# The receiver by rsyslog: `docker compose --profile rsyslog` builds this one.
FROM airf5 AS rsyslog
USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends rsyslog rsyslog-relp rsyslog-gnutls \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o airf5 -g airf5 /var/spool/rsyslog /etc/airf5
USER airf5
EXPOSE 5514 5514/udp 5515 6514 2514
CMD ["rsyslogd", "-n", "-f", "/srv/airf5/integrations/rsyslog/airf5.conf", "-i", "/tmp/rsyslogd.pid"]

# What is built when nothing is named
FROM airf5
