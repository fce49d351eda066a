import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.Statement;

/** Runs the statements on standard input through DuckDB's JDBC driver, and prints the first column of each row. */
public class Ask {
    public static void main(String[] arguments) throws Exception {
        String statements = new String(System.in.readAllBytes(), "UTF-8");
        try (Connection connection = DriverManager.getConnection("jdbc:duckdb:");
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(statements)) {
            while (rows.next()) {
                System.out.println(rows.getString(1));
            }
        }
    }
}
