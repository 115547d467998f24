/** The models that a server serves, by name. */
package dev.precis.server.models;
