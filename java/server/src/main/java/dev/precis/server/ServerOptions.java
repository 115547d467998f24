package dev.precis.server;

import dev.precis.io.InvalidInputException;
import dev.precis.server.http.ApiKey;
import dev.precis.server.http.Limits;
import dev.precis.text.PromptTemplate;
import java.net.InetAddress;
import java.nio.file.Path;
import java.util.Set;

/**
 * Options of a server. The defaults: the loopback address, any free port, no key, no encryption, a
 * chat's message is the whole prompt.
 */
public final class ServerOptions {
  private InetAddress address = InetAddress.getLoopbackAddress();
  private int port;
  private ApiKey key;
  private Set<String> hosts = Set.of();
  private Path certificates;
  private Path privateKey;
  private Limits limits = Limits.DEFAULT;
  private PromptTemplate template = PromptTemplate.RAW;

  /** Sets the address to listen on. One that is not loopback needs a key. */
  public ServerOptions address(InetAddress address) {
    this.address = address;
    return this;
  }

  /** Sets the port to listen on; 0: any that is free. */
  public ServerOptions port(int port) {
    this.port = port;
    return this;
  }

  /** Sets the key that clients must send; null, the default: none. */
  public ServerOptions key(ApiKey key) {
    this.key = key;
    return this;
  }

  /**
   * Sets names that requests may address the server by, beside those of the loopback address. A
   * server on another address that has none accepts every name.
   */
  public ServerOptions hosts(Set<String> hosts) {
    this.hosts = Set.copyOf(hosts);
    return this;
  }

  /**
   * Encrypts connections (TLS 1.2 and 1.3, HTTP/2 where the client wants it).
   *
   * @param certificates PEM file of the certificate and those that it depends on
   * @param privateKey PEM file of its private key (PKCS 8, not encrypted)
   */
  public ServerOptions tls(Path certificates, Path privateKey) {
    this.certificates = certificates;
    this.privateKey = privateKey;
    return this;
  }

  /** Sets the bounds of what a client may ask for. */
  public ServerOptions limits(Limits limits) {
    this.limits = limits;
    return this;
  }

  /** Sets the template that the last message of a chat is filled into. */
  public ServerOptions template(PromptTemplate template) {
    this.template = template;
    return this;
  }

  /**
   * Checks what concerns several options.
   *
   * @throws InvalidInputException if they do not fit together
   */
  public void check() {
    InvalidInputException.require(port >= 0 && port <= 65_535, "port", "from 0 to 65535", port);
    if (!address.isLoopbackAddress() && key == null) {
      throw new InvalidInputException(
          ("A server on %s can be reached from other machines and needs a key: give it with"
                  + " --api-key-file FILE or the environment variable PRECIS_API_KEY")
              .formatted(address.getHostAddress()));
    }
  }

  InetAddress address() {
    return address;
  }

  int port() {
    return port;
  }

  ApiKey key() {
    return key;
  }

  Set<String> hosts() {
    return hosts;
  }

  /** Returns the PEM file of the certificates; null: connections are not encrypted. */
  Path certificates() {
    return certificates;
  }

  Path privateKey() {
    return privateKey;
  }

  Limits limits() {
    return limits;
  }

  PromptTemplate template() {
    return template;
  }
}
