# The sidecar as a company derives it, with an authority of its own: here the one that plays the
# public authority of the vendor's hosts.

ARG SIDECAR
ARG STAND_IN
FROM $STAND_IN AS pki
FROM $SIDECAR
COPY --from=pki /opt/pki/vendor-ca.crt /etc/corporate-ca.pem
ENV TELEMOCK_UPSTREAM_CA=/etc/corporate-ca.pem
