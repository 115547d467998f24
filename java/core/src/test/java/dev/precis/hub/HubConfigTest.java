package dev.precis.hub;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class HubConfigTest {
  @TempDir Path home;

  private HubConfig config(String... variables) {
    Map<String, String> environment = new HashMap<>();
    for (int i = 0; i < variables.length; i += 2) {
      environment.put(variables[i], variables[i + 1]);
    }
    return HubConfig.from(environment, home);
  }

  @Test
  void hasPythonsDefaults() {
    HubConfig config = config();
    assertEquals(URI.create("https://huggingface.co"), config.endpoint());
    assertEquals(home.resolve(".cache/huggingface/hub"), config.cache());
    assertEquals(Optional.empty(), config.token());
    assertEquals(Optional.empty(), config.proxy());
    assertEquals(false, config.offline());
  }

  @Test
  void findsTheCacheWherePythonDoes() {
    assertEquals(Path.of("/x/huggingface/hub"), config("XDG_CACHE_HOME", "/x").cache());
    assertEquals(Path.of("/h/hub"), config("XDG_CACHE_HOME", "/x", "HF_HOME", "/h").cache());
    assertEquals(Path.of("/l"), config("HF_HOME", "/h", "HUGGINGFACE_HUB_CACHE", "/l").cache());
    assertEquals(
        Path.of("/c"), config("HUGGINGFACE_HUB_CACHE", "/l", "HF_HUB_CACHE", "/c").cache());
    assertEquals(home.resolve("models"), config("HF_HUB_CACHE", "~/models").cache());
    assertEquals(home.resolve(".cache/huggingface/hub"), config("HF_HOME", " ").cache());
  }

  @Test
  void findsTheTokenWherePythonDoes() throws IOException {
    Path file = home.resolve(".cache/huggingface/token");
    Files.createDirectories(file.getParent());
    Files.writeString(file, "hf_file\n");
    assertEquals(Optional.of("hf_file"), config().token());
    assertEquals(Optional.of("hf_set"), config("HF_TOKEN", " hf_set\n").token());
    Files.writeString(home.resolve("other"), "hf_other");
    assertEquals(Optional.of("hf_other"), config("HF_TOKEN_PATH", "~/other").token());
    assertEquals(
        Optional.empty(),
        config("HF_TOKEN", "hf_set", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "1").token());
    Files.writeString(file, "\n");
    assertEquals(Optional.empty(), config().token());
    InvalidInputException refused =
        assertThrows(InvalidInputException.class, () -> config("HF_TOKEN", "hf_\u00e9\r\nX: y"));
    assertTrue(refused.getMessage().startsWith("HF_TOKEN holds a character"));
  }

  @ParameterizedTest
  @CsvSource({
    "1, true",
    "ON, true",
    "yes, true",
    "True, true",
    "0, false",
    "off, false",
    "'', false"
  })
  void knowsWhatIsTrue(String value, boolean offline) {
    assertEquals(offline, config("HF_HUB_OFFLINE", value).offline());
  }

  @Test
  void takesMirrors() {
    assertEquals(
        URI.create("https://mirror.example/hf/api"),
        config("HF_ENDPOINT", "https://mirror.example/hf/api//").endpoint());
  }

  @ParameterizedTest
  @ValueSource(strings = {"huggingface.co", "ftp://x", "https://", "https://x?y", "ht tp://x"})
  void refusesOtherEndpoints(String text) {
    String message =
        assertThrows(InvalidInputException.class, () -> config("HF_ENDPOINT", text)).getMessage();
    assertTrue(message.startsWith("HF_ENDPOINT must be") && message.contains(text), message);
  }

  @Test
  void takesProxies() {
    ProxySelector proxy =
        config(
                "HTTPS_PROXY", "http://proxy.example:3128",
                "NO_PROXY", "localhost, .internal.example,10.0.0.1")
            .proxy()
            .orElseThrow();
    Proxy selected = proxy.select(URI.create("https://huggingface.co/x")).getFirst();
    assertEquals(InetSocketAddress.createUnresolved("proxy.example", 3128), selected.address());
    for (String direct :
        new String[] {
          "http://huggingface.co",
          "https://localhost/x",
          "https://a.internal.example",
          "https://10.0.0.1"
        }) {
      assertEquals(Proxy.NO_PROXY, proxy.select(URI.create(direct)).getFirst(), direct);
    }
    assertEquals(
        Proxy.Type.HTTP,
        config("all_proxy", "proxy:80")
            .proxy()
            .orElseThrow()
            .select(URI.create("http://hub.example"))
            .getFirst()
            .type());
    String message =
        assertThrows(
                InvalidInputException.class,
                () -> config("https_proxy", "socks5://user:secret@proxy"))
            .getMessage();
    assertTrue(message.contains("HTTPS_PROXY") && !message.contains("secret"), message);
  }
}
