package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import dev.precis.io.InvalidInputException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Supplier;
import picocli.CommandLine.Option;

/** Declares the address that a server listens on, and its certificate. */
public final class ListenOptions {
  private static final int MAX_PORT = 65_535;

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      defaultValue = "127.0.0.1",
      description = "The address to listen on; 0.0.0.0: all (default: ${DEFAULT-VALUE}).")
  private String host;

  @Option(
      names = "--port",
      paramLabel = "N",
      defaultValue = "8080",
      description = "The port to listen on; 0: any that is free (default: ${DEFAULT-VALUE}).")
  private int port;

  @Option(
      names = "--allow-host",
      paramLabel = "NAME",
      description =
          "A name that clients may address the server by, such as that of a proxy; repeat it for"
              + " several. Other names are refused on this machine's own address.")
  private List<String> allowedHosts = List.of();

  @Option(
      names = "--tls-certificate",
      paramLabel = "FILE",
      description = "A PEM file with the certificate and its chain: connections are encrypted.")
  private Path certificate;

  @Option(
      names = "--tls-key",
      paramLabel = "FILE",
      description = "A PEM file with its private key.")
  private Path privateKey;

  /** Refuses values that cannot be. */
  public void check(BaseCommand command) {
    if (port < 0 || port > MAX_PORT) {
      throw command.usage("--port must be from 0 to %d, not %d".formatted(MAX_PORT, port));
    }
    if ((certificate == null) != (privateKey == null)) {
      throw command.usage("--tls-certificate and --tls-key need each other");
    }
  }

  /**
   * Returns the address to listen on.
   *
   * @throws InvalidInputException if there is none of that name
   */
  public InetAddress address() {
    try {
      return InetAddress.getByName(host);
    } catch (UnknownHostException e) {
      throw new InvalidInputException("--host " + host + " is no address of this machine", e);
    }
  }

  /** Returns the port; 0: any. */
  public int port() {
    return port;
  }

  /** Returns the names that clients may address the server by, in lower case. */
  public Set<String> hosts() {
    Set<String> hosts = new HashSet<>();
    allowedHosts.forEach(name -> hosts.add(name.toLowerCase(Locale.ROOT)));
    return hosts;
  }

  /** Returns the file of the certificate; null: connections are not encrypted. */
  public Path certificate() {
    return certificate;
  }

  /** Returns the file of the private key; null without a certificate. */
  public Path privateKey() {
    return privateKey;
  }

  /**
   * Starts a server.
   *
   * @throws InvalidInputException if the address and port cannot be listened on
   */
  public <T> T start(Supplier<T> server) {
    try {
      return server.get();
    } catch (RuntimeException e) {
      for (Throwable cause = e; cause != null; cause = cause.getCause()) {
        if (cause instanceof BindException) {
          throw new InvalidInputException(
              "Cannot listen on %s, port %d: %s; choose others with --host and --port"
                  .formatted(host, port, cause.getMessage()),
              e);
        }
      }
      throw e;
    }
  }
}
