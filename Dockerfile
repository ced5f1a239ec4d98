# The packages that the service runs with, and none that only its tests and checks need.
FROM node:26-alpine AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

# The whole root file system as it shall be: Node and the service, nothing that installs or builds.
FROM node:26-alpine AS root
RUN rm -rf \
      /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
      /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn* /usr/local/bin/docker-entrypoint.sh \
      /usr/local/include /usr/local/share/doc /usr/local/share/man
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=packages /app/node_modules ./node_modules
COPY docs/errors.md ./docs/errors.md
COPY src ./src
# Readable for everyone, writable for root alone, whatever the modes were in the folder that was built from. A fresh
# named volume takes the owner and the mode of /data over.
RUN chmod -R u=rwX,go=rX /app && mkdir -m 0700 /data && chown node:node /data

# Copied at once, so that what was removed takes no space. The settings of the base image do not come along.
FROM scratch
COPY --from=root / /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    DATA_DIR=/data
WORKDIR /app
USER node
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
# Asks this container's own process over its own loopback, where its certificate's name cannot match.
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s \
  CMD ["node", "--no-warnings", "-e", "const tls = process.env.TLS_CERT_FILE; if (tls) process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; fetch('http' + (tls ? 's' : '') + '://127.0.0.1:' + (process.env.PORT || '3000') + '/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# In this form node itself is process 1, and hears the signal. The flag, in MB, is that of `npm start`: docs/operations.md.
CMD ["node", "--initial-old-space-size=128", "src/main.ts"]
