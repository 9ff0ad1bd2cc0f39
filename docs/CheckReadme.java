import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * {@code CheckReadme README SOURCE REGION}: the first Java listing of a README is that region of a compiled source, line for
 * line. GitHub shows a README as it is, so that its code cannot be included from there; it can only be compared.
 */
final class CheckReadme {

    public static void main(String[] args) throws IOException {
        String shown = between(Files.readString(Path.of(args[0])), "```java\n", "```");
        String compiled = between(Files.readString(Path.of(args[1])), "// @start region=\"" + args[2] + "\"\n", "// @end").stripIndent();
        if (shown.equals(compiled)) return;
        System.err.printf("%s shows%n%n%s%nbut region %s of %s is%n%n%s%n", args[0], shown, args[2], args[1], compiled);
        System.exit(1);
    }

    private static String between(String text, String start, String end) {
        int from = text.indexOf(start);
        int to = from < 0 ? -1 : text.indexOf(end, from + start.length());
        if (to < 0) throw new IllegalArgumentException("there is no " + start.strip() + " that ends with " + end);
        // The end's own line, with its indentation, is not part of it.
        return text.substring(from + start.length(), text.lastIndexOf('\n', to));
    }
}
