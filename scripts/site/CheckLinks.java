import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Checks the links between the pages of a built site: every file and every anchor that one names
 * must exist. Addresses of other hosts are not visited. Javadoc's pages are targets alone.
 *
 * <p>Usage: {@code java CheckLinks.java SITE}.
 */
final class CheckLinks {
  private static final Pattern LINK = Pattern.compile("\\s(?:href|src)=\"([^\"]*)\"");
  private static final Pattern ANCHOR = Pattern.compile("\\s(?:id|name)=\"([^\"]*)\"");

  private final Path site;
  private final Map<Path, Set<String>> anchors = new HashMap<>();
  private final List<String> broken = new ArrayList<>();
  private int links;

  private CheckLinks(Path site) {
    this.site = site;
  }

  public static void main(String[] args) throws IOException {
    CheckLinks check = new CheckLinks(Path.of(args[0]).toAbsolutePath().normalize());
    List<Path> pages;
    try (Stream<Path> files = Files.walk(check.site)) {
      pages =
          files
              .filter(f -> f.toString().endsWith(".html"))
              .filter(f -> !f.startsWith(check.site.resolve("apidocs")))
              .sorted()
              .toList();
    }
    for (Path page : pages) {
      check.page(page);
    }
    check.broken.forEach(System.err::println);
    System.out.printf(
        "%d pages, %d links, %d broken%n", pages.size(), check.links, check.broken.size());
    if (pages.isEmpty() || !check.broken.isEmpty()) {
      System.exit(1);
    }
  }

  private void page(Path page) throws IOException {
    Matcher link = LINK.matcher(Files.readString(page));
    while (link.find()) {
      String address = link.group(1).replace("&amp;", "&");
      if (address.matches("[a-z]+:.*") || address.startsWith("//")) {
        continue;
      }
      links++;
      int hash = address.indexOf('#');
      String file = hash < 0 ? address : address.substring(0, hash);
      String anchor = hash < 0 ? "" : address.substring(hash + 1);
      Path target =
          file.isEmpty()
              ? page
              : page.resolveSibling(URLDecoder.decode(file, StandardCharsets.UTF_8)).normalize();
      if (!target.startsWith(site) || !Files.isRegularFile(target)) {
        broken.add(site.relativize(page) + ": " + address + " does not exist.");
      } else if (!anchor.isEmpty() && !anchorsOf(target).contains(anchor)) {
        broken.add(site.relativize(page) + ": " + address + " names an anchor that is not there.");
      }
    }
  }

  private Set<String> anchorsOf(Path page) throws IOException {
    Set<String> found = anchors.get(page);
    if (found == null) {
      found = new HashSet<>();
      Matcher anchor = ANCHOR.matcher(Files.readString(page));
      while (anchor.find()) {
        found.add(anchor.group(1));
      }
      anchors.put(page, found);
    }
    return found;
  }
}
