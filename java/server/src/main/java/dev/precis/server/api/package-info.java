/** The endpoints of the API, in the form of OpenAI's. */
package dev.precis.server.api;
