/** The numbers of a server, which {@code /metrics} shows. */
package dev.precis.server.metrics;
