import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Document;
import org.jsoup.nodes.Element;

/**
 * {@code CheckLinks DIRECTORY}: every link between the pages of a directory leads to a file, and to an anchor in it, that
 * exist. Asciidoctor checks references within a page; those from one page to another only the generated HTML can tell.
 * Links that leave the directory are not followed.
 */
final class CheckLinks {

    private final Map<Path, Document> pages = new HashMap<>();
    private final List<String> broken = new ArrayList<>();
    private int links;

    public static void main(String[] args) throws IOException {
        var check = new CheckLinks();
        check.read(Path.of(args[0]).toAbsolutePath().normalize());
        check.pages.forEach(check::links);
        check.broken.forEach(System.err::println);
        System.out.printf("%d links in %d pages, %d broken%n", check.links, check.pages.size(), check.broken.size());
        // No page at all is a manual that was not built.
        System.exit(check.broken.isEmpty() && !check.pages.isEmpty() ? 0 : 1);
    }

    private void read(Path directory) throws IOException {
        try (var files = Files.walk(directory)) {
            for (Path file : files.filter(f -> f.toString().endsWith(".html")).toList()) {
                pages.put(file, Jsoup.parse(file));
            }
        }
    }

    private void links(Path page, Document html) {
        for (Element element : html.select("[href], [src]")) {
            String link = element.attr(element.hasAttr("href") ? "href" : "src");
            if (link.startsWith("//") || link.matches("[a-zA-Z][a-zA-Z0-9+.-]*:.*")) {
                continue;
            }
            links++;
            String why = whyBroken(page, link);
            if (why != null) {
                broken.add("%s: %s: %s".formatted(page.getFileName(), link, why));
            }
        }
    }

    private String whyBroken(Path page, String link) {
        String[] parts = URLDecoder.decode(link.replace("+", "%2B"), StandardCharsets.UTF_8).split("#", 2);
        Path target = parts[0].isEmpty() ? page : page.resolveSibling(parts[0]).normalize();
        if (!Files.exists(target)) {
            return "no such file";
        }
        if (parts.length == 1 || parts[1].isEmpty() || !pages.containsKey(target)) {
            return null;
        }
        Document html = pages.get(target);
        boolean found = html.getElementById(parts[1]) != null
                || html.select("a[name]").stream().anyMatch(a -> a.attr("name").equals(parts[1]));
        return found ? null : "no such anchor";
    }
}
