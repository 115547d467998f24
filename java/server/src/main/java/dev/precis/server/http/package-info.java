/** The parts of HTTP that every endpoint shares: bodies, errors, time limits, access. */
package dev.precis.server.http;
