package dev.precis.server;

import dev.precis.server.http.Limits;
import java.net.InetAddress;

/**
 * Options of a server.
 *
 * @param address to listen on; null: the loopback address
 * @param port to listen on; 0: any that is free
 * @param limits of what a client may ask for
 */
public record ServerOptions(InetAddress address, int port, Limits limits) {
  /** Loopback, any free port, the default limits. */
  public static final ServerOptions DEFAULT = new ServerOptions(null, 0, Limits.DEFAULT);

  /** Fills in the loopback address. */
  public ServerOptions {
    address = address == null ? InetAddress.getLoopbackAddress() : address;
  }
}
