/** Serves models over HTTP: {@link dev.precis.server.Server} and its options. */
package dev.precis.server;
