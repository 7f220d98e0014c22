//! Rooms by the hour: who calls, and a database session that commits or rolls back, are dependencies (see README.md).
#[cfg(test)]
mod tests;
tonic::include_proto!("rooms.v1");
use depends::{Context, Dependencies, Dependency, Error, RequestExt as _};
use sqlx::{Sqlite, SqlitePool, Transaction};
use std::sync::Arc;
use tokio::{net::TcpListener, sync::Mutex};
use tonic::{Request, Response, Status};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS booking (room, hour, guest, PRIMARY KEY (room, hour))";
struct CurrentUser(String);
impl Dependency for CurrentUser {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        let name = context.head()?.metadata().get("x-user").and_then(|name| name.to_str().ok());
        Ok(Self(name.ok_or_else(|| Status::unauthenticated("say who you are: x-user"))?.to_owned()))
    }
}
struct Session(Arc<Mutex<Option<Transaction<'static, Sqlite>>>>);
impl Dependency for Session {
    async fn resolve(context: &Context) -> Result<Self, Error> {
        let session = Arc::new(Mutex::new(Some(context.value::<SqlitePool>()?.begin().await?)));
        let ended = Arc::clone(&session);
        context.on_end(async move |outcome| match ended.lock().await.take().filter(|_| outcome.is_success()) {
            Some(transaction) => Ok(transaction.commit().await?),
            None => Ok(()), // What is dropped without a commit is rolled back.
        });
        Ok(Self(session))
    }
}
struct Rooms;
#[tonic::async_trait]
impl rooms_server::Rooms for Rooms {
    async fn book_room(&self, request: Request<BookRoomRequest>) -> Result<Response<Bookings>, Status> {
        let (user, session) = (request.depends::<CurrentUser>().await?, request.depends::<Session>().await?);
        let (BookRoomRequest { room, hours }, mut session) = (request.into_inner(), session.0.lock().await);
        let transaction = session.as_mut().ok_or_else(|| Status::aborted("the request is over"))?;
        for hour in hours {
            let insert = sqlx::query("INSERT INTO booking VALUES (?, ?, ?)").bind(&room).bind(hour).bind(&user.0);
            insert.execute(&mut **transaction).await.map_err(|_| Status::already_exists(format!("{hour} is taken")))?;
        }
        let hours = sqlx::query_scalar("SELECT hour FROM booking WHERE room = ? ORDER BY hour").bind(&room);
        Ok(Response::new(Bookings { hours: hours.fetch_all(&mut **transaction).await.map_err(Error::from)? }))
    }
}
fn app(dependencies: &Dependencies) -> Result<axum::Router, transcode::BuildError> {
    let transcoder = transcode::Transcoder::new(include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")))?;
    let services = transcode::Services::builder().with(rooms_server::RoomsServer::new(Rooms)).build();
    Ok(axum::Router::new().fallback_service(transcoder.serve(dependencies.serve(services))))
}
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = SqlitePool::connect("sqlite:target/rooms.db?mode=rwc").await?;
    sqlx::query(TABLE).execute(&pool).await?;
    let dependencies = Dependencies::builder().value(pool).build();
    let server = axum::serve(TcpListener::bind("127.0.0.1:8092").await?, app(&dependencies)?);
    server.with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(dependencies.close().await.map_err(Status::from)?)
}
