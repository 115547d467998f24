import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Writes the Markdown pages of the documentation site: copies of the pages that the repository has,
 * their links changed to those of the site; a page for each command, from its {@code --help}; and
 * the operations, from the C headers.
 *
 * <p>Usage: {@code java SitePages.java ROOT LAUNCHER OUTPUT}.
 */
final class SitePages {
  private static final String REPOSITORY = "https://github.com/precis-dev/precis/tree/main/";

  /** The repository's pages and their names on the site. */
  private static final Map<String, String> PAGES = new LinkedHashMap<>();

  static {
    PAGES.put("README.md", "index");
    PAGES.put("docs/guide.md", "guide");
    PAGES.put("docs/recipe.md", "recipe");
    PAGES.put("docs/reports.md", "reports");
    PAGES.put("docs/data.md", "data");
    PAGES.put("docs/files.md", "files");
    PAGES.put("docs/java.md", "java");
    PAGES.put("docs/serve.md", "serve");
    PAGES.put("docs/review.md", "review");
    PAGES.put("docs/methods.md", "methods");
    PAGES.put("docs/race.md", "race");
    PAGES.put("docs/judges.md", "judges");
    PAGES.put("docs/safety.md", "safety");
    PAGES.put("docs/langchain4j.md", "langchain4j");
    PAGES.put("docs/spring.md", "spring");
    PAGES.put("docs/spark.md", "spark");
    PAGES.put("docs/architecture.md", "architecture");
    PAGES.put("CONTRIBUTING.md", "contributing");
    PAGES.put("CHANGELOG.md", "changelog");
    PAGES.put("SECURITY.md", "security");
    PAGES.put("benchmarks/README.md", "benchmarks");
    PAGES.put("docs/roofline.md", "roofline");
    PAGES.put("docs/growth.md", "growth");
    PAGES.put("docs/gpu-model.md", "gpu-model");
  }

  private final Path root;
  private final Path output;

  private SitePages(Path root, Path output) {
    this.root = root;
    this.output = output;
  }

  public static void main(String[] args) throws IOException, InterruptedException {
    SitePages site = new SitePages(Path.of(args[0]).toRealPath(), Path.of(args[2]));
    Files.createDirectories(site.output.resolve("commands"));
    for (Map.Entry<String, String> page : PAGES.entrySet()) {
      site.write(page.getValue(), site.copied(page.getKey()));
    }
    site.commands(args[1]);
    site.operations();
  }

  private void write(String name, String text) throws IOException {
    Files.writeString(output.resolve(name + ".md"), text);
  }

  // ------------------------------------------------------------------ pages of the repository

  private static final Pattern LINK = Pattern.compile("\\]\\(([^)\\s#]*)(#[^)\\s]*)?\\)");

  private String copied(String page) throws IOException {
    Path file = root.resolve(page);
    return LINK.matcher(withAnchors(Files.readAllLines(file)))
        .replaceAll(
            link -> {
              String target = link.group(1);
              String anchor = link.group(2) == null ? "" : link.group(2);
              boolean elsewhere = target.isEmpty() || target.matches("[a-z]+:.*");
              String address = elsewhere ? target : siteAddress(page, file, target);
              return Matcher.quoteReplacement("](" + address + anchor + ")");
            });
  }

  private static final Pattern HEADING = Pattern.compile("(#+) (.*)");

  /** Gives headings the anchors that they have in the repository, which the site lacks. */
  private static String withAnchors(List<String> lines) {
    StringBuilder text = new StringBuilder();
    boolean code = false;
    for (String line : lines) {
      code ^= line.startsWith("```");
      Matcher heading = HEADING.matcher(line);
      if (!code && heading.matches()) {
        String anchor =
            heading.group(2).toLowerCase(Locale.ROOT).replaceAll("[^\\w -]", "").replace(' ', '-');
        text.append("<a id=\"").append(anchor).append("\"></a>\n\n");
      }
      text.append(line).append('\n');
    }
    return text.toString();
  }

  private String siteAddress(String page, Path file, String target) {
    Path path = file.resolveSibling(target).normalize();
    if (!path.startsWith(root) || !Files.exists(path)) {
      throw new IllegalStateException(page + " links to " + target + ", which does not exist.");
    }
    String inRepository = root.relativize(path).toString();
    if (PAGES.containsKey(inRepository)) {
      return PAGES.get(inRepository) + ".html";
    }
    return inRepository.endsWith(".svg") && inRepository.startsWith("docs/")
        ? path.getFileName().toString()
        : REPOSITORY + inRepository;
  }

  // ------------------------------------------------------------------ commands

  private static final Pattern COMMAND = Pattern.compile("^  ([a-z][a-z-]*) {2,}(\\S.*)$");

  private void commands(String launcher) throws IOException, InterruptedException {
    StringBuilder index = new StringBuilder("# Commands\n\n");
    index.append("`precis COMMAND --help` prints these pages.\n\n");
    index.append("| command | purpose |\n|---|---|\n");
    String help = help(launcher, List.of());
    Map<String, String> top = listed(help);
    if (top.isEmpty()) {
      throw new IllegalStateException("precis --help lists no commands.");
    }
    for (String command : top.keySet()) {
      command(launcher, List.of(command), top.get(command), index);
    }
    write("commands", index.toString());
  }

  private void command(String launcher, List<String> command, String purpose, StringBuilder index)
      throws IOException, InterruptedException {
    String help = help(launcher, command);
    String name = String.join(" ", command);
    String file = String.join("-", command);
    index.append("| [%s](commands/%s.html) | %s |%n".formatted(name, file, escaped(purpose)));
    write("commands/" + file, "# precis %s%n%n```%n%s%n```%n".formatted(name, help.strip()));
    if (command.size() == 1) {
      Map<String, String> nested = listed(help);
      for (String sub : nested.keySet()) {
        command(launcher, List.of(command.get(0), sub), nested.get(sub), index);
      }
    }
  }

  /** Returns the commands that a help text lists, and their purpose, which may take two lines. */
  private static Map<String, String> listed(String help) {
    Map<String, String> found = new LinkedHashMap<>();
    boolean inside = false;
    String last = null;
    for (String line : help.lines().toList()) {
      Matcher command = COMMAND.matcher(line);
      if (line.equals("Commands:") || line.equals("What:")) {
        inside = true;
      } else if (inside && line.isBlank()) {
        break;
      } else if (inside && command.matches()) {
        last = command.group(1);
        found.put(last, command.group(2));
      } else if (inside && last != null) {
        found.merge(last, line.strip(), (a, b) -> a + " " + b);
      }
    }
    return found;
  }

  private static String help(String launcher, List<String> command)
      throws IOException, InterruptedException {
    List<String> line = new ArrayList<>(List.of(launcher));
    line.addAll(command);
    line.add("--help");
    Process process = new ProcessBuilder(line).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String text = new String(process.getInputStream().readAllBytes());
    if (process.waitFor() != 0) {
      throw new IllegalStateException(String.join(" ", line) + " failed: " + text);
    }
    return text;
  }

  private static String escaped(String text) {
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*");
  }

  // ------------------------------------------------------------------ operations

  private static final Pattern OPERATION =
      Pattern.compile(
          "precis_status precis_(\\w+)\\(precis_context\\* context,\\s+const precis_\\1_args\\*");

  private void operations() throws IOException {
    String header = Files.readString(root.resolve("native/include/precis.h"));
    List<String> names =
        OPERATION.matcher(header).results().map(MatchResult::group).map(SitePages::name).toList();
    if (names.isEmpty()) {
      throw new IllegalStateException("precis.h declares no operation.");
    }
    StringBuilder page = new StringBuilder("# Operations\n\n");
    page.append("Each operation is a function of `precis.h`, which is shown with its arguments. ");
    page.append("The formula comes from the header that its CPU and CUDA kernels share.\n\n");
    for (String name : names) {
      page.append("## ").append(name).append("\n\n");
      Path own = root.resolve("native/src/ops/" + name + ".h");
      if (Files.exists(own)) {
        page.append("```\n").append(leadingComment(own)).append("\n```\n\n");
      }
      page.append("```c\n").append(declaration(header, name)).append("\n```\n\n");
    }
    write("operations", page.toString());
  }

  private static String name(String declaration) {
    Matcher matcher = OPERATION.matcher(declaration);
    return matcher.find() ? matcher.group(1) : declaration;
  }

  private static String leadingComment(Path file) throws IOException {
    StringBuilder text = new StringBuilder();
    for (String line : Files.readAllLines(file)) {
      if (!line.startsWith("//")) {
        break;
      }
      text.append(line.replaceFirst("^// ?", "")).append('\n');
    }
    if (text.isEmpty()) {
      throw new IllegalStateException(file + " does not begin with the operation's formula.");
    }
    return text.toString().stripTrailing();
  }

  /** Returns the struct of arguments with the comment above it, and the function. */
  private static String declaration(String header, String name) {
    int struct = header.indexOf("typedef struct precis_" + name + "_args {");
    int end = header.indexOf("} precis_" + name + "_args;", struct);
    Matcher function =
        Pattern.compile("PRECIS_API precis_status precis_" + name + "\\([^;]*;").matcher(header);
    if (struct < 0 || end < 0 || !function.find()) {
      throw new IllegalStateException("precis.h does not declare the arguments of " + name + ".");
    }
    int begin = struct;
    String above = header.substring(0, struct);
    if (above.endsWith("*/\n")) {
      begin = above.lastIndexOf("/*");
    }
    return header.substring(begin, header.indexOf('\n', end))
        + "\n\n"
        + function.group().replace("PRECIS_API ", "").replaceAll("\\n {11}( +)", "\n$1");
  }
}
