# Node runs directly: signals reach it, and nothing of npm is in the image that runs.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY nest-cli.json tsconfig.json .swcrc ./
COPY src src
RUN node node_modules/@nestjs/cli/bin/nest.js build -b swc && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# The root file system may be read-only: all that is written goes to /data.
RUN install -d -o 10001 -g 10001 -m 0700 /data
VOLUME /data
USER 10001:10001
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT ?? 3000}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# A young generation of 8 instead of 16 MB a half: 25 MB less resident after the start.
CMD ["node", "--enable-source-maps", "--max-semi-space-size=8", "dist/main.js"]
